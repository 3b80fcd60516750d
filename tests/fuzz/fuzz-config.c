/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-config-private.h"

int LLVMFuzzerTestOneInput (const guint8 *data, size_t size);

static void
check_value (const char *name, const ChoirConfigValue *value)
{
  g_autofree char *group = g_strndup (name, (gsize) (strrchr (name, '.') - name));
  GError *error = NULL;
  g_autoptr (GHashTable) values = choir_config_values_new ();

  g_assert_true (
    choir_config_values_set (values, group, value->key->key, value->text, "again", &error));
  g_assert_no_error (error);
  g_assert_true (value->key->min == value->key->max || value->list != NULL ||
                 value->key->type == CHOIR_CONFIG_STRING ||
                 (value->number >= value->key->min && value->number <= value->key->max));
}

/* A file's text: either an error that says which line, or values that are all valid by themselves
 */
int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  g_autoptr (GHashTable) values = choir_config_values_new ();
  g_autoptr (GError) error = NULL;
  GHashTableIter iter;
  gpointer name, value;

  if (!choir_config_values_read_text (values, "fuzz", (const char *) data, size, &error))
    {
      g_assert_nonnull (error);
      g_assert_true (g_str_has_prefix (error->message, "fuzz:"));
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
      return 0;
    }

  g_assert_no_error (error);
  (void) choir_config_values_check (values, NULL);

  g_hash_table_iter_init (&iter, values);
  while (g_hash_table_iter_next (&iter, &name, &value))
    {
      if (g_str_has_prefix (((ChoirConfigValue *) value)->origin, "fuzz:"))
        check_value (name, value);
    }

  return 0;
}
