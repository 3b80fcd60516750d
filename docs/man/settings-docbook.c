/* settings-docbook.c: the table of settings as the body of choir.conf(5)
 *
 * Prints one DocBook section with a subsection for each section of the configuration file, so that
 * the manual page has the names, types, bounds and defaults that the program has.
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-config-private.h"

#include <locale.h>
#include <string.h>

static void
print_escaped (const char *format, const char *text)
{
  g_autofree char *escaped = g_markup_escape_text (text, -1);
  g_auto (GStrv) parts = g_strsplit (format, "$", 2);

  g_print ("%s%s%s", parts[0], escaped, parts[1]);
}

static char *
dup_size (gint64 bytes)
{
  static const char units[] = { 'K', 'M', 'G' };
  int unit = -1;

  for (; bytes > 0 && bytes % 1024 == 0 && unit + 1 < (int) G_N_ELEMENTS (units); unit++)
    bytes /= 1024;

  return unit < 0 ? g_strdup_printf ("%" G_GINT64_FORMAT, bytes)
                  : g_strdup_printf ("%" G_GINT64_FORMAT "%c", bytes, units[unit]);
}

static char *
dup_time (gint64 us)
{
  static const struct
  {
    const char *unit;
    gint64 us;
  } units[] = { { "h", G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC },
                { "m", G_GINT64_CONSTANT (60) * G_USEC_PER_SEC },
                { "s", G_USEC_PER_SEC } };

  for (guint i = 0; us > 0 && i < G_N_ELEMENTS (units); i++)
    if (us % units[i].us == 0)
      return g_strdup_printf ("%" G_GINT64_FORMAT "%s", us / units[i].us, units[i].unit);

  return g_strdup_printf ("%" G_GINT64_FORMAT "ms", us / 1000);
}

static void
print_bounds (const char *what, char *(*dup) (gint64), const ChoirConfigKey *key)
{
  g_autofree char *min = dup (key->min);
  g_autofree char *max = dup (key->max);

  g_print ("%s from <literal>%s</literal> to <literal>%s</literal>", what, min, max);
}

static char *
dup_number (gint64 value)
{
  return g_strdup_printf ("%" G_GINT64_FORMAT, value);
}

static void
print_choices (const char *choices)
{
  g_auto (GStrv) list = g_strsplit (choices, "|", -1);

  for (guint i = 0; list[i] != NULL; i++)
    {
      g_print ("%s", i == 0 ? "" : list[i + 1] != NULL ? ", " : " or ");
      print_escaped ("<literal>$</literal>", list[i]);
    }
}

static void
print_type (const ChoirConfigKey *key)
{
  /* no item of any setting looks like this, so the check says what one must be */
  const char *form = key->check != NULL ? key->check ("=") : NULL;

  switch (key->type)
    {
    case CHOIR_CONFIG_STRING:
      print_escaped ("Text$", form != NULL ? ": " : "");
      break;
    case CHOIR_CONFIG_LIST:
      print_escaped ("A list$", form != NULL ? ", each item: " : "");
      break;
    case CHOIR_CONFIG_BOOLEAN:
      g_print ("<literal>yes</literal> or <literal>no</literal>");
      break;
    case CHOIR_CONFIG_UINT:
      print_bounds ("A number", dup_number, key);
      break;
    case CHOIR_CONFIG_SIZE:
      print_bounds ("A size", dup_size, key);
      break;
    case CHOIR_CONFIG_DURATION:
      print_bounds ("A time", dup_time, key);
      break;
    case CHOIR_CONFIG_CHOICE:
      print_choices (key->choices);
      break;
    case CHOIR_CONFIG_RATE:
      g_print ("A rate");
      break;
    default:
      g_assert_not_reached ();
    }

  print_escaped ("$. ", form != NULL ? form : "");
}

/* It may be long: a line may end behind each item */
static void
print_list (const char *value)
{
  g_auto (GStrv) items = g_strsplit (value, ";", -1);
  g_autofree char *broken = g_strjoinv (";\u200b", items);

  print_escaped ("Default: <literal>$</literal>.", broken);
}

static void
print_key (const ChoirConfigKey *key)
{
  print_escaped ("<varlistentry><term><varname>$</varname>=</term>\n<listitem>", key->key);
  print_escaped ("<para>$.</para>\n<para>", key->doc);
  print_type (key);

  if (key->value == NULL)
    print_escaped ("Default: that of <varname>$</varname>.", key->fallback);
  else if (*key->value == '\0')
    g_print ("Default: empty.");
  else if (key->type == CHOIR_CONFIG_LIST)
    print_list (key->value);
  else
    print_escaped ("Default: <literal>$</literal>.", key->value);
  if (key->restart)
    g_print (" A restart is needed to change it.");

  g_print ("</para></listitem></varlistentry>\n");
}

/* What built-in instances of @section say for themselves */
static void
print_instances (const char *section)
{
  guint n;
  const ChoirConfigBuiltin *builtins = choir_config_table_get_builtins (&n);
  const char *last = "";

  g_print ("<para>Built in are these, which may be changed like others:</para>\n<programlisting>");
  for (guint i = 0; i < n; i++)
    {
      if (!g_str_has_prefix (builtins[i].group, section))
        continue;
      if (strcmp (builtins[i].group, last) != 0)
        g_print ("%s[%s]\n", *last == '\0' ? "" : "\n", builtins[i].group);
      g_print ("%s=%s\n", builtins[i].key, builtins[i].value);
      last = builtins[i].group;
    }
  g_print ("</programlisting>\n");
}

static void
print_section (const ChoirConfigKey *keys, guint n_keys, const char *section)
{
  g_print ("<refsect2><title>[%s%s]</title>\n<variablelist>\n", section,
           strcmp (section, "dialect") == 0 ? " NAME" : "");
  for (guint i = 0; i < n_keys; i++)
    if (strcmp (keys[i].section, section) == 0)
      print_key (&keys[i]);
  g_print ("</variablelist>\n");
  if (choir_config_table_has_instances (section))
    print_instances (section);
  g_print ("</refsect2>\n");
}

int
main (void)
{
  guint n_keys;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n_keys);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  setlocale (LC_ALL, "C.UTF-8");

  g_print ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<refsect1><title>Settings</title>\n");
  for (guint i = 0; i < n_keys; i++)
    if (g_hash_table_add (seen, (gpointer) keys[i].section))
      print_section (keys, n_keys, keys[i].section);
  g_print ("</refsect1>\n");

  return 0;
}
