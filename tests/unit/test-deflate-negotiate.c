/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-deflate.h"

#include <string.h>

/* The usual one: frames are shared, clients may keep their window */
static const ChoirDeflatePolicy usual = { FALSE, TRUE, 15 };
static const ChoirDeflatePolicy open_policy = { TRUE, TRUE, 15 };
static const ChoirDeflatePolicy closed_policy = { FALSE, FALSE, 15 };
static const ChoirDeflatePolicy small_policy = { TRUE, TRUE, 10 };

#define PMD "permessage-deflate"
#define SNC "; server_no_context_takeover"
#define CNC "; client_no_context_takeover"
#define SBITS "; server_max_window_bits"
#define CBITS "; client_max_window_bits"

typedef struct
{
  const ChoirDeflatePolicy *policy;
  const char *offers;
  const char *response; /* NULL: declined */
} Negotiation;

static const Negotiation negotiations[] = {
  /* what clients send, and each parameter by itself */
  { &open_policy, PMD, PMD },
  { &usual, PMD, PMD SNC },
  { &closed_policy, PMD, PMD SNC CNC },
  { &usual, PMD CBITS, PMD SNC CBITS "=15" },
  { &open_policy, PMD SNC, PMD SNC },
  { &open_policy, PMD CNC, PMD CNC },
  { &open_policy, PMD SNC CNC, PMD SNC CNC },
  { &open_policy, PMD CNC SNC, PMD SNC CNC },
  { &closed_policy, PMD SNC CNC, PMD SNC CNC },
  { &open_policy, PMD SBITS "=9", PMD SBITS "=9" },
  { &open_policy, PMD SBITS "=10", PMD SBITS "=10" },
  { &open_policy, PMD SBITS "=15", PMD SBITS "=15" },
  { &open_policy, PMD CBITS "=8", PMD CBITS "=8" },
  { &open_policy, PMD CBITS "=9", PMD CBITS "=9" },
  { &open_policy, PMD CBITS "=15", PMD CBITS "=15" },
  { &usual, PMD CBITS "=12" SBITS "=11" CNC SNC, PMD SNC CNC SBITS "=11" CBITS "=12" },
  /* our own window is smaller */
  { &small_policy, PMD, PMD SBITS "=10" },
  { &small_policy, PMD SBITS "=15", PMD SBITS "=10" },
  { &small_policy, PMD SBITS "=9", PMD SBITS "=9" },
  { &small_policy, PMD CBITS, PMD SBITS "=10" CBITS "=10" },
  { &small_policy, PMD CBITS "=15", PMD SBITS "=10" CBITS "=10" },
  { &small_policy, PMD CBITS "=8", PMD SBITS "=10" CBITS "=8" },
  /* a window zlib can't keep to, and values that are none */
  { &open_policy, PMD SBITS "=8", NULL },
  { &open_policy, PMD SBITS "=7", NULL },
  { &open_policy, PMD SBITS "=16", NULL },
  { &open_policy, PMD SBITS "=0", NULL },
  { &open_policy, PMD SBITS "=-9", NULL },
  { &open_policy, PMD SBITS "=09", NULL },
  { &open_policy, PMD SBITS "=010", NULL },
  { &open_policy, PMD SBITS "=100", NULL },
  { &open_policy, PMD SBITS "=1", NULL },
  { &open_policy, PMD SBITS "=10x", NULL },
  { &open_policy, PMD SBITS "=4294967305", NULL },
  { &open_policy, PMD SBITS, NULL },
  { &open_policy, PMD SBITS "=", NULL },
  { &open_policy, PMD SBITS "=\"\"", NULL },
  { &open_policy, PMD CBITS "=7", NULL },
  { &open_policy, PMD CBITS "=16", NULL },
  { &open_policy, PMD CBITS "=08", NULL },
  { &open_policy, PMD CBITS "=", NULL },
  { &open_policy, PMD CBITS "=true", NULL },
  { &open_policy, PMD SNC "=true", NULL },
  { &open_policy, PMD SNC "=1", NULL },
  { &open_policy, PMD CNC "=\"1\"", NULL },
  /* parameters twice or unheard of */
  { &open_policy, PMD SNC SNC, NULL },
  { &open_policy, PMD CNC SNC CNC, NULL },
  { &open_policy, PMD SBITS "=10" SBITS "=10", NULL },
  { &open_policy, PMD CBITS CBITS "=10", NULL },
  { &open_policy, PMD "; unknown", NULL },
  { &open_policy, PMD "; unknown=10", NULL },
  { &open_policy, PMD "; Server_No_Context_Takeover", NULL },
  { &open_policy, PMD "; server_max_window_bit=10", NULL },
  /* quotes */
  { &open_policy, PMD SBITS "=\"10\"", PMD SBITS "=10" },
  { &open_policy, PMD SBITS "=\"1\\0\"", PMD SBITS "=10" },
  { &open_policy, PMD SBITS "=\"10", NULL },
  { &open_policy, PMD SBITS "=\"10\\", NULL },
  { &open_policy, PMD SBITS "=\"10\"x", NULL },
  { &open_policy, PMD SBITS "=\"1 0\"", NULL },
  { &open_policy, PMD "; x=\"a, " PMD ", b\"", NULL },
  { &open_policy, PMD "; x=\"a\\\", " PMD ", b\"", NULL },
  { &open_policy, PMD "; x=\"a, b\", " PMD CNC, PMD CNC },
  /* several offers: the first that fits */
  { &open_policy, PMD SBITS "=10, " PMD, PMD SBITS "=10" },
  { &open_policy, PMD SBITS "=8, " PMD, PMD },
  { &open_policy, PMD "; unknown, " PMD CNC ", " PMD SNC, PMD CNC },
  { &open_policy, PMD SNC SNC "," PMD SBITS "=16," PMD SBITS "=12", PMD SBITS "=12" },
  { &open_policy, "x-webkit-deflate-frame, " PMD CBITS, PMD CBITS "=15" },
  { &open_policy, "foo; bar=\"" PMD "\"; baz, " PMD, PMD },
  { &open_policy, "foo; " PMD, NULL },
  { &open_policy, "permessage-bzip2", NULL },
  { &open_policy, "permessage-deflat", NULL },
  { &open_policy, "permessage-deflate2", NULL },
  { &open_policy, "Permessage-Deflate", NULL },
  /* blanks and bad grammar */
  { &open_policy, "", NULL },
  { &open_policy, " , ,", NULL },
  { &open_policy, ",, " PMD " ,", PMD },
  { &open_policy, "\t" PMD " ;\tclient_no_context_takeover ", PMD CNC },
  { &open_policy, PMD "; server_max_window_bits = 10", PMD SBITS "=10" },
  { &open_policy, PMD ";", NULL },
  { &open_policy, PMD ";;client_no_context_takeover", NULL },
  { &open_policy, PMD "=1", NULL },
  { &open_policy, PMD " client_no_context_takeover", NULL },
  { &open_policy, PMD "; =10", NULL },
  { &open_policy, "; " PMD, NULL },
  { &open_policy, PMD "; @, " PMD SNC, PMD SNC },
  { &open_policy, "@ @ \"a, " PMD "\", " PMD SNC, PMD SNC },
  { &open_policy, PMD "\x01", NULL },
  { &open_policy, PMD "\xc3\xa9", NULL },
};

static void
test_negotiate (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (negotiations); i++)
    {
      const Negotiation *row = &negotiations[i];
      g_autofree char *response = NULL;
      ChoirDeflateParams params;
      gboolean accepted;

      accepted = choir_deflate_negotiate (row->offers, row->policy, &params, &response);
      g_test_message ("%s", row->offers);
      g_assert_cmpstr (response, ==, row->response);
      g_assert_true (accepted == (row->response != NULL));
      g_assert_true (params.enabled == accepted);
      if (!accepted)
        continue;
      g_assert_true (params.server_no_context_takeover == (strstr (response, SNC) != NULL));
      g_assert_true (params.client_no_context_takeover == (strstr (response, CNC) != NULL));
      if (strstr (response, SBITS) == NULL)
        g_assert_cmpuint (params.server_max_window_bits, ==, 15);
      if (strstr (response, CBITS) == NULL)
        g_assert_cmpuint (params.client_max_window_bits, ==, 15);
    }
}

static void
test_negotiate_params (void)
{
  g_autofree char *response = NULL;
  ChoirDeflateParams params;

  g_assert_false (choir_deflate_negotiate (NULL, &usual, &params, &response));
  g_assert_false (params.enabled);
  g_assert_true (choir_deflate_negotiate (PMD SBITS "=11" CBITS "=9", &usual, &params, &response));
  g_assert_true (params.server_no_context_takeover);
  g_assert_false (params.client_no_context_takeover);
  g_assert_cmpuint (params.server_max_window_bits, ==, 11);
  g_assert_cmpuint (params.client_max_window_bits, ==, 9);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/deflate/negotiate", test_negotiate);
  g_test_add_func ("/deflate/negotiate-params", test_negotiate_params);

  return g_test_run ();
}
