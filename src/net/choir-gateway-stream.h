/* choir-gateway-stream.h: from a request for an event stream to its session
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-gateway.h"

G_BEGIN_DECLS

gboolean choir_gateway_has_buried (ChoirGateway *self, const ChoirUpgrade *upgrade);
void choir_gateway_adopt_stream (ChoirGateway *self,
                                 ChoirTransport *transport,
                                 ChoirUpgrade *upgrade,
                                 const GString *head);

G_END_DECLS
