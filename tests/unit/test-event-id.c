/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"
#include "choir-event-graves.h"
#include "choir-event-id.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define SESSION "0f0e0d0c-0b0a-4908-8706-050403020100"

static void
test_parse (void)
{
  ChoirEventId id;

  g_assert_true (choir_event_id_parse (&id, SESSION ".17;e1.5;-"));
  g_assert_cmpstr (id.session_id, ==, SESSION);
  g_assert_cmpuint (id.number, ==, 17);
  g_assert_cmpstr (id.positions, ==, ";e1.5;-");

  g_assert_true (choir_event_id_parse (&id, SESSION ".0"));
  g_assert_cmpuint (id.number, ==, 0);
  g_assert_cmpstr (id.positions, ==, "");
}

static void
test_garbage (void)
{
  static const char *const garbage[] = {
    "",
    ".",
    "x",
    SESSION,
    SESSION ".",
    SESSION ".x",
    SESSION ".-1",
    SESSION ".+1",
    SESSION ". 1",
    SESSION ".1x",
    SESSION ".18446744073709551615",
    SESSION ".99999999999999999999",
    SESSION "0.1",
    "0f0e0d0c-0b0a-4908-8706-05040302010.1",
    "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.1",
    "\"f0e0d0c-0b0a-4908-8706-050403020100.1",
  };
  g_autofree char *rest = g_strnfill (CHOIR_EVENT_ID_MAX, 'x');
  g_autofree char *too_long = g_strconcat (SESSION ".1;", rest, NULL);
  ChoirEventId id;

  for (guint i = 0; i < G_N_ELEMENTS (garbage); i++)
    if (choir_event_id_parse (&id, garbage[i]))
      g_error ("%s was taken for an id", garbage[i]);
  g_assert_false (choir_event_id_parse (&id, too_long));
}

static void
test_graves (void)
{
  g_autoptr (ChoirEventGraves) graves = choir_event_graves_new ();

  choir_clock_freeze (1000 * SECOND, 1700000000 * SECOND);
  g_assert_false (choir_event_graves_has (graves, SESSION, "alice"));
  choir_event_graves_add (graves, SESSION, "alice");
  choir_event_graves_add (graves, SESSION, "alice");
  g_assert_cmpuint (choir_event_graves_get_n (graves), ==, 1);
  g_assert_true (choir_event_graves_has (graves, SESSION, "alice"));
  g_assert_false (choir_event_graves_has (graves, SESSION, "bob"));

  choir_clock_advance (CHOIR_EVENT_GRAVES_US + SECOND);
  g_assert_false (choir_event_graves_has (graves, SESSION, "alice"));
  g_assert_cmpuint (choir_event_graves_get_n (graves), ==, 0);
  choir_clock_thaw ();
}

static void
test_graves_limit (void)
{
  g_autoptr (ChoirEventGraves) graves = choir_event_graves_new ();

  for (guint i = 0; i < CHOIR_EVENT_GRAVES_MAX + 10; i++)
    {
      g_autofree char *id = g_strdup_printf ("%u", i);

      choir_event_graves_add (graves, id, "alice");
    }
  g_assert_cmpuint (choir_event_graves_get_n (graves), ==, CHOIR_EVENT_GRAVES_MAX);
  g_assert_false (choir_event_graves_has (graves, "9", "alice"));
  g_assert_true (choir_event_graves_has (graves, "10", "alice"));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/event-id/parse", test_parse);
  g_test_add_func ("/event-id/garbage", test_garbage);
  g_test_add_func ("/event-id/graves", test_graves);
  g_test_add_func ("/event-id/graves-limit", test_graves_limit);

  return g_test_run ();
}
