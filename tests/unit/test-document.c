/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "fake-link.h"

#include <string.h>

/* What became of one change */
typedef struct
{
  guint n_calls;
  ChoirChangeStatus status;
  guint64 version;
  ChoirError code;
} Outcome;

static void
changed_cb (ChoirDocument *document, const ChoirChangeResult *result, gpointer user_data)
{
  Outcome *outcome = user_data;

  outcome->n_calls++;
  outcome->status = result->status;
  outcome->version = result->version;
  outcome->code = result->error != NULL ? (ChoirError) result->error->code : CHOIR_N_ERRORS;
  g_assert_true (result->error == NULL || result->error->domain == CHOIR_ERROR);
}

static ChoirTextOperation *
parse (const char *json)
{
  static const ChoirTextLimits limits = { 5000, 1 << 20 };
  g_autoptr (GError) error = NULL;
  ChoirTextOperation *operation = choir_text_operation_parse (choir_slice (json), &limits, &error);

  g_assert_no_error (error);

  return operation;
}

static void
submit_full (ChoirDocument *document,
             ChoirSession *session,
             guint64 version,
             const char *change_id,
             const char *json,
             Outcome *outcome)
{
  ChoirChange change = {
    .version = version,
    .operation = parse (json),
    .change_id = change_id,
    .sender = change_id != NULL ? "alice" : NULL,
    .user_id = "alice",
    .session = session,
    .callback = outcome != NULL ? changed_cb : NULL,
    .user_data = outcome,
  };

  choir_document_submit (document, &change);
}

static Outcome
submit (ChoirDocument *document, guint64 version, const char *change_id, const char *json)
{
  Outcome outcome = { 0 };

  submit_full (document, NULL, version, change_id, json, &outcome);
  g_assert_cmpuint (outcome.n_calls, ==, 0);
  while (outcome.n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (outcome.n_calls, ==, 1);

  return outcome;
}

static guint64
commit (ChoirDocument *document, const char *json)
{
  guint64 before = choir_document_get_version (document);
  Outcome outcome = submit (document, before, NULL, json);

  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_COMMITTED);
  g_assert_cmpuint (outcome.version, ==, before + 1);

  return outcome.version;
}

static void
assert_text (ChoirDocument *document, const char *expected)
{
  gsize len;
  g_autofree char *text = choir_rope_dup_text (choir_document_get_text (document), &len);

  g_assert_cmpstr (text, ==, expected);
}

static void
store_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static GAsyncResult *
wait_for (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);

  return *result;
}

static ChoirDocument *
open_document (FakeHub *fake, const char *id)
{
  ChoirDocumentTable *table = choir_hub_get_documents (fake->hub);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  ChoirDocument *document;

  choir_document_table_open_async (table, id, NULL, store_result, &result);
  document = choir_document_table_open_finish (table, wait_for (&result), &error);
  g_assert_no_error (error);

  return document;
}

static ChoirError
open_error (FakeHub *fake, const char *id)
{
  ChoirDocumentTable *table = choir_hub_get_documents (fake->hub);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  choir_document_table_open_async (table, id, NULL, store_result, &result);
  g_assert_null (choir_document_table_open_finish (table, wait_for (&result), &error));
  g_assert_true (error->domain == CHOIR_ERROR);

  return (ChoirError) error->code;
}

/* Gives it back and waits until it has left memory */
static void
close_document (FakeHub *fake, ChoirDocument *document)
{
  ChoirDocumentTable *table = choir_hub_get_documents (fake->hub);

  choir_document_release (document);
  while (choir_document_table_get_n_open (table) > 0)
    g_main_context_iteration (NULL, TRUE);
}

static ChoirDocument *
reopen (FakeHub *fake, ChoirDocument *document)
{
  g_autofree char *id = g_strdup (choir_document_get_id (document));

  close_document (fake, document);

  return open_document (fake, id);
}

static char *
read_at (ChoirDocument *document, guint64 version, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (ChoirRope) text = NULL;

  choir_document_read_at_async (document, version, NULL, store_result, &result);
  text = choir_document_read_at_finish (document, wait_for (&result), error);

  return text != NULL ? choir_rope_dup_text (text, NULL) : NULL;
}

static guint64
save (ChoirDocument *document, const char *label, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;
  guint64 version = 0;

  choir_document_save_async (document, label, "alice", NULL, store_result, &result);
  choir_document_save_finish (document, wait_for (&result), &version, NULL, error);

  return version;
}

static void
test_commit (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");

  g_assert_cmpstr (choir_document_get_id (document), ==, "a");
  g_assert_cmpuint (choir_document_get_version (document), ==, 0);
  g_assert_cmpstr (choir_document_get_epoch (document), ==, "");
  assert_text (document, "");

  commit (document, "[\"h\xc3\xa9llo\"]");
  commit (document, "[5,\" \xf0\x9f\x8e\xb5\"]");
  commit (document, "[1,{\"d\":1}]");
  assert_text (document, "hllo \xf0\x9f\x8e\xb5");
  g_assert_cmpuint (strlen (choir_document_get_epoch (document)), >, 0);
  g_assert_cmpint (choir_document_get_changed_us (document), ==, FAKE_NOW_S * G_USEC_PER_SEC);
  g_assert_cmpint (fake_hub_count (fake, "choir_document_changes", "committed"), ==, 3);

  document = reopen (fake, document);
  assert_text (document, "hllo \xf0\x9f\x8e\xb5");
  g_assert_cmpuint (choir_document_get_version (document), ==, 3);
  close_document (fake, document);
}

/* Nothing shows before the store has it */
static void
test_stored_first (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  Outcome first = { 0 }, second = { 0 };

  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), TRUE);
  submit_full (document, NULL, 0, "1", "[\"a\"]", &first);
  submit_full (document, NULL, 0, "2", "[\"b\"]", &second);
  while (first.n_calls == 0 || second.n_calls == 0)
    g_main_context_iteration (NULL, TRUE);

  g_assert_cmpint (first.status, ==, CHOIR_CHANGE_REFUSED);
  g_assert_cmpint (first.code, ==, CHOIR_ERROR_UNAVAILABLE);
  g_assert_cmpint (second.code, ==, CHOIR_ERROR_UNAVAILABLE);
  g_assert_cmpuint (choir_document_get_version (document), ==, 0);
  assert_text (document, "");
  g_assert_false (choir_document_table_is_writable (choir_hub_get_documents (fake->hub)));

  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), FALSE);
  while (!choir_document_table_is_writable (choir_hub_get_documents (fake->hub)))
    g_main_context_iteration (NULL, TRUE);
  first = submit (document, 0, "1", "[\"a\"]");
  g_assert_cmpint (first.status, ==, CHOIR_CHANGE_COMMITTED);
  assert_text (document, "a");
  close_document (fake, document);
}

/* The one committed later is the left side: it stands first */
static void
test_concurrent (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  Outcome outcomes[3] = { 0 };

  commit (document, "[\"0123456789\"]");
  submit_full (document, NULL, 1, NULL, "[5,\"x\"]", &outcomes[0]);
  submit_full (document, NULL, 1, NULL, "[5,\"y\"]", &outcomes[1]);
  submit_full (document, NULL, 1, NULL, "[3,{\"d\":4}]", &outcomes[2]);
  while (outcomes[2].n_calls == 0)
    g_main_context_iteration (NULL, TRUE);

  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (outcomes[i].version, ==, 2 + i);
  assert_text (document, "012yx789");
  close_document (fake, document);
}

static void
test_duplicates (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  Outcome outcomes[2] = { 0 };
  Outcome outcome;

  outcome = submit (document, 0, "one", "[\"a\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_COMMITTED);
  outcome = submit (document, 0, "one", "[\"a\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_DUPLICATE);
  g_assert_cmpuint (outcome.version, ==, 1);

  /* both at once */
  submit_full (document, NULL, 1, "two", "[\"b\"]", &outcomes[0]);
  submit_full (document, NULL, 1, "two", "[\"b\"]", &outcomes[1]);
  while (outcomes[1].n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (outcomes[0].status, ==, CHOIR_CHANGE_COMMITTED);
  g_assert_cmpint (outcomes[1].status, ==, CHOIR_CHANGE_DUPLICATE);
  g_assert_cmpuint (outcomes[1].version, ==, 2);

  /* from before the document was in memory, at its newest version */
  document = reopen (fake, document);
  outcome = submit (document, 2, "one", "[\"a\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_DUPLICATE);
  g_assert_cmpuint (outcome.version, ==, 1);
  assert_text (document, "ba");
  close_document (fake, document);
}

static guint64
find_change (ChoirDocument *document, const char *sender, const char *change_id)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  guint64 version = G_MAXUINT64;

  choir_document_find_change_async (document, sender, change_id, NULL, store_result, &result);
  choir_document_find_change_finish (document, wait_for (&result), &version, &error);
  g_assert_no_error (error);

  return version;
}

static void
test_find_change (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");

  submit (document, 0, "one", "[\"a\"]");
  submit (document, 1, "two", "[\"b\"]");
  document = reopen (fake, document);
  g_assert_cmpuint (find_change (document, "alice", "two"), ==, 2);
  g_assert_cmpuint (find_change (document, "alice", "three"), ==, 0);
  g_assert_cmpuint (find_change (document, "bob", "two"), ==, 0);
  close_document (fake, document);
}

/* A change that is only for one version of the text */
static void
test_exact (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  Outcome outcomes[3] = { 0 };

  for (guint i = 0; i < 3; i++)
    {
      ChoirChange change = {
        .version = i / 2,
        .operation = parse ("[\"a\"]"),
        .exact = TRUE,
        .callback = changed_cb,
        .user_data = &outcomes[i],
      };

      choir_document_submit (document, &change);
    }
  while (outcomes[0].n_calls == 0)
    g_main_context_iteration (NULL, TRUE);

  g_assert_cmpint (outcomes[0].status, ==, CHOIR_CHANGE_COMMITTED);
  g_assert_cmpint (outcomes[1].status, ==, CHOIR_CHANGE_CONFLICT);
  g_assert_cmpint (outcomes[2].status, ==, CHOIR_CHANGE_CONFLICT);
  assert_text (document, "a");
  close_document (fake, document);
}

/* Among others that are none, the duplicate is found by the store only */
static void
test_duplicate_in_batch (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  Outcome outcomes[3] = { 0 };

  submit (document, 0, "old", "[\"a\"]");
  document = reopen (fake, document);
  g_assert_cmpuint (choir_document_get_first_in_memory (document), ==, 2);

  submit_full (document, NULL, 1, "x", "[1,\"x\"]", &outcomes[0]);
  submit_full (document, NULL, 1, "old", "[\"a\"]", &outcomes[1]);
  submit_full (document, NULL, 1, "y", "[1,\"y\"]", &outcomes[2]);
  while (outcomes[2].n_calls == 0)
    g_main_context_iteration (NULL, TRUE);

  g_assert_cmpuint (outcomes[0].version, ==, 2);
  g_assert_cmpint (outcomes[1].status, ==, CHOIR_CHANGE_DUPLICATE);
  g_assert_cmpuint (outcomes[1].version, ==, 1);
  g_assert_cmpuint (outcomes[2].version, ==, 3);
  assert_text (document, "ayx");
  close_document (fake, document);
}

static void
test_conflicts (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nhorizon=10\nsnapshot-every=1");
  ChoirDocument *document = open_document (fake, "a");
  Outcome outcome;

  for (guint i = 0; i < 30; i++)
    commit (document, "[\"x\"]");

  outcome = submit (document, 31, NULL, "[\"y\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_CONFLICT);
  g_assert_cmpuint (outcome.version, ==, 30);
  outcome = submit (document, 19, NULL, "[\"y\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_CONFLICT);
  outcome = submit (document, 0, NULL, "[\"y\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_CONFLICT);
  g_assert_cmpuint (choir_document_get_version (document), ==, 30);

  outcome = submit (document, 20, NULL, "[20,\"y\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_COMMITTED);
  assert_text (document, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy");
  close_document (fake, document);
}

/* A client that was away for longer than memory reaches */
static void
test_older (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nsnapshot-every=100000");
  ChoirDocument *document = open_document (fake, "a");
  static Outcome outcomes[4500];
  Outcome outcome;

  commit (document, "[\"ab\"]");
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      submit_full (document, NULL, CHOIR_VERSION_UNKNOWN, NULL, "[1,\"x\"]", &outcomes[i]);
      while (i % 500 == 499 && outcomes[i].n_calls == 0)
        g_main_context_iteration (NULL, TRUE);
    }
  g_assert_cmpuint (choir_document_get_version (document), ==, 4501);
  g_assert_cmpuint (choir_document_get_first_in_memory (document), >, 400);

  outcome = submit (document, 1, "late", "[2,\"c\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_COMMITTED);
  g_assert_cmpuint (outcome.version, ==, 4502);
  g_assert_cmpuint (choir_rope_get_n_chars (choir_document_get_text (document)), ==, 4503);

  document = reopen (fake, document);
  outcome = submit (document, 0, NULL, "[\"0\"]");
  g_assert_cmpuint (outcome.version, ==, 4503);
  {
    g_autofree char *text = choir_rope_dup_text (choir_document_get_text (document), NULL);

    g_assert_true (g_str_has_prefix (text, "0ax") && g_str_has_suffix (text, "xbc"));
  }
  close_document (fake, document);
}

/* Many parts, long ago: possible, but not worth what it would cost everybody */
static void
test_too_much_work (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  g_autoptr (GString) filling = g_string_new ("[\"");
  g_autoptr (GString) scattered = g_string_new ("[");
  Outcome outcome;

  for (guint i = 0; i < 2000; i++)
    {
      g_string_append (filling, "xx");
      g_string_append (scattered, i == 0 ? "1,\"y\"" : ",1,\"y\"");
    }
  g_string_append (filling, "\"]");
  g_string_append_c (scattered, ']');

  commit (document, filling->str);
  for (guint i = 0; i < 300; i++)
    commit (document, "[\"z\"]");

  outcome = submit (document, 1, NULL, scattered->str);
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_CONFLICT);
  outcome = submit (document, 200, NULL, scattered->str);
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_COMMITTED);
  close_document (fake, document);
}

static void
test_invalid (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nmax-size=1K");
  ChoirDocument *document = open_document (fake, "a");
  g_autofree char *filling = g_strnfill (1000, 'x');
  g_autofree char *json = g_strdup_printf ("[\"%s\"]", filling);
  Outcome outcome;

  commit (document, "[\"\xe6\x97\xa5\xe6\x9c\xac\"]");
  outcome = submit (document, 1, NULL, "[3,\"x\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_REFUSED);
  g_assert_cmpint (outcome.code, ==, CHOIR_ERROR_VALIDATION);
  outcome = submit (document, 0, NULL, "[1,\"x\"]");
  g_assert_cmpint (outcome.code, ==, CHOIR_ERROR_VALIDATION);
  outcome = submit (document, 1, NULL, "[1,{\"d\":2}]");
  g_assert_cmpint (outcome.code, ==, CHOIR_ERROR_VALIDATION);

  commit (document, json);
  outcome = submit (document, 2, NULL, "[\"0123456789abcdefghi\"]");
  g_assert_cmpint (outcome.code, ==, CHOIR_ERROR_TOO_LARGE);
  /* exactly full: what goes is three bytes a character */
  outcome = submit (document, 2, NULL, "[1000,\"0123456789abcdefghi\",{\"d\":2}]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_COMMITTED);
  outcome = submit (document, 3, NULL, "[\"012345\"]");
  g_assert_cmpint (outcome.code, ==, CHOIR_ERROR_TOO_LARGE);
  g_assert_cmpuint (choir_document_get_version (document), ==, 3);
  close_document (fake, document);

  g_assert_cmpint (open_error (fake, ""), ==, CHOIR_ERROR_VALIDATION);
  g_assert_cmpint (open_error (fake, "two words"), ==, CHOIR_ERROR_VALIDATION);
}

/* Another node has written to the same document */
static void
test_other_node (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  ChoirStoreEntry entry = { .user_id = "bob", .data = "[1,\"B\"]", .len = 7 };
  ChoirAppended appended;
  Outcome outcome;

  commit (document, "[\"xy\"]");
  choir_store_append_async (fake->store, "document:a", 1, &entry, 1, NULL, store_result, &result);
  choir_store_append_finish (fake->store, wait_for (&result), &appended, &error);
  g_assert_no_error (error);
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);

  outcome = submit (document, 1, NULL, "[1,\"A\"]");
  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_COMMITTED);
  g_assert_cmpuint (outcome.version, ==, 3);
  assert_text (document, "xABy");
  close_document (fake, document);
}

static void
test_past (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nhorizon=64\nsnapshot-every=5");
  ChoirDocument *document = open_document (fake, "a");
  g_autoptr (GString) expected = g_string_new (NULL);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  guint n_kept = 0;

  for (guint i = 0; i < 200; i++)
    {
      g_ptr_array_add (texts, g_strdup (expected->str));
      g_string_insert_c (expected, i / 2, (int) ('a' + i % 26));
      {
        g_autofree char *json = i < 2
                                  ? g_strdup_printf ("[\"%c\"]", (int) ('a' + i % 26))
                                  : g_strdup_printf ("[%u,\"%c\"]", i / 2, (int) ('a' + i % 26));

        commit (document, json);
      }
    }
  fake_hub_iterate ();

  for (guint version = 0; version < 200; version++)
    {
      g_autoptr (GError) missing = NULL;
      g_autofree char *text = read_at (document, version, &missing);

      if (text == NULL)
        {
          g_assert_error (missing, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
          g_assert_cmpuint (version, <, 200 - 64);
          continue;
        }
      g_assert_cmpstr (text, ==, g_ptr_array_index (texts, version));
      n_kept++;
    }
  g_assert_cmpuint (n_kept, >=, 64);

  g_assert_null (read_at (document, 201, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
  close_document (fake, document);
}

static void
test_since (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) revisions = NULL;

  for (guint i = 0; i < 20; i++)
    submit (document, i, NULL, "[\"x\"]");
  document = reopen (fake, document);
  while (choir_document_get_version (document) < 15)
    commit (document, "[\"y\"]");

  choir_document_read_since_async (document, 3, 9, NULL, store_result, &result);
  revisions = choir_document_read_since_finish (document, wait_for (&result), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (revisions->len, ==, 9);
  for (guint i = 0; i < revisions->len; i++)
    g_assert_cmpuint (((ChoirRevision *) g_ptr_array_index (revisions, i))->version, ==, 4 + i);
  close_document (fake, document);
}

static void
test_save (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GPtrArray) versions = NULL;
  g_autoptr (GError) error = NULL;
  const ChoirSnapshot *newest;

  commit (document, "[\"one\"]");
  g_assert_cmpuint (save (document, "first", &error), ==, 1);
  g_assert_no_error (error);
  save (document, "at once again", &error);
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_RATE_LIMITED);
  g_clear_error (&error);

  commit (document, "[\"two\"]");
  choir_clock_advance (2 * G_USEC_PER_SEC);
  {
    guint64 version = save (document, NULL, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (version, ==, 2);
  }
  g_assert_no_error (error);

  document = reopen (fake, document);
  choir_document_list_versions_async (document, 0, 10, NULL, store_result, &result);
  versions = choir_document_list_versions_finish (document, wait_for (&result), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (versions->len, ==, 2);
  newest = g_ptr_array_index (versions, 0);
  g_assert_cmpuint (newest->offset, ==, 2);
  g_assert_cmpstr (newest->label, ==, "2023-11-14T22:13:22.000Z");
  newest = g_ptr_array_index (versions, 1);
  g_assert_cmpstr (newest->label, ==, "first");
  g_assert_cmpstr (newest->user_id, ==, "alice");
  g_assert_cmpuint (newest->len, ==, 3);
  close_document (fake, document);
}

static void
test_table (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nmax-open=2");
  ChoirDocumentTable *table = choir_hub_get_documents (fake->hub);
  ChoirDocument *a = open_document (fake, "a");
  ChoirDocument *b = open_document (fake, "b");
  g_autoptr (GAsyncResult) result = NULL;

  g_assert_true (a == open_document (fake, "a"));
  g_assert_true (a == choir_document_table_find (table, "a"));
  g_assert_null (choir_document_table_try_open (table, "c"));
  g_assert_cmpint (open_error (fake, "c"), ==, CHOIR_ERROR_UNAVAILABLE);
  g_assert_cmpint (fake_hub_count (fake, "choir_documents_open", NULL), ==, 2);

  choir_document_release (a);
  g_assert_cmpuint (choir_document_table_get_n_open (table), ==, 2);
  choir_document_release (a);
  g_assert_cmpuint (choir_document_table_get_n_open (table), ==, 1);

  commit (b, "[\"kept\"]");
  choir_document_table_close_async (table, NULL, store_result, &result);
  g_assert_cmpint (open_error (fake, "b"), ==, CHOIR_ERROR_UNAVAILABLE);
  g_assert_null (result);
  choir_document_release (b);
  wait_for (&result);
  g_assert_cmpuint (choir_document_table_get_n_open (table), ==, 0);
}

/* One that does as docs/protocol.md says, and reads what it is sent whenever it likes */
typedef struct
{
  FakeLink *link; /* (owned) */
  ChoirRope *text;
  GQueue pending; /* (element-type ChoirTextOperation) */
  guint64 known;
  guint n_sent;
} Editor;

static void
editor_apply_foreign (Editor *self, ChoirTextOperation *operation)
{
  g_autoptr (ChoirTextOperation) foreign = operation;

  for (GList *link = self->pending.head; link != NULL; link = link->next)
    {
      ChoirTextOperation *own = link->data;
      ChoirTextOperation *rest =
        choir_text_operation_transform (foreign, own, CHOIR_TEXT_SIDE_RIGHT);

      link->data = choir_text_operation_transform (own, foreign, CHOIR_TEXT_SIDE_LEFT);
      choir_text_operation_free (own);
      choir_text_operation_free (foreign);
      foreign = rest;
    }

  choir_text_operation_apply (foreign, self->text);
}

/* FALSE: nothing has come */
static gboolean
editor_read (Editor *self)
{
  g_autofree char *type = NULL;
  g_autofree char *version = NULL;
  g_autofree char *message = NULL;

  if (fake_link_get_n_frames (self->link) == 0)
    return FALSE;

  message = fake_link_take (self->link);
  type = fake_link_read (message, "type");
  version = fake_link_read (message, "payload.version");

  if (g_str_equal (type, "document.ack"))
    choir_text_operation_free (g_queue_pop_head (&self->pending));
  else if (g_str_equal (type, "document.change"))
    {
      g_autofree char *json = fake_link_read (message, "payload.operation");

      editor_apply_foreign (self, parse (json));
    }
  else
    return TRUE;

  g_assert_cmpuint (g_ascii_strtoull (version, NULL, 10), ==, self->known + 1);
  self->known++;

  return TRUE;
}

static char *
random_operation (GRand *rand, gsize length)
{
  static const char *const words[] = { "a", "\xc3\xa9\xcc\x81", "\xe4\xb8\xad\xe6\x96\x87",
                                       "\xf0\x9f\x98\x80!", "long words" };
  gsize position = length > 0 ? (gsize) g_rand_int_range (rand, 0, (gint32) length + 1) : 0;
  gsize rest = length - position;
  gsize n_deleted = rest > 0 ? (gsize) g_rand_int_range (rand, 0, (gint32) MIN (rest, 6) + 1) : 0;
  g_autoptr (GString) json = g_string_new ("[");

  if (position > 0)
    g_string_append_printf (json, "%" G_GSIZE_FORMAT ",", position);
  if (n_deleted == 0 || g_rand_boolean (rand))
    g_string_append_printf (json, "\"%s\",",
                            words[g_rand_int_range (rand, 0, G_N_ELEMENTS (words))]);
  if (n_deleted > 0)
    g_string_append_printf (json, "{\"d\":%" G_GSIZE_FORMAT "},", n_deleted);
  json->str[json->len - 1] = ']';

  return g_strdup (json->str);
}

static void
editor_write (Editor *self, ChoirDocument *document, GRand *rand)
{
  g_autofree char *json = random_operation (rand, choir_rope_get_n_chars (self->text));
  ChoirTextOperation *operation = parse (json);

  choir_text_operation_apply (operation, self->text);
  g_queue_push_tail (&self->pending, operation);
  submit_full (document, fake_link_get_session (self->link), self->known, NULL, json, NULL);
}

static void
editor_open (Editor *self, FakeHub *fake, ChoirDocument *document, guint i)
{
  static const char *const users[] = { "alice", "bob", "alice" };
  g_autoptr (GError) error = NULL;
  ChoirChannel *channel;

  self->link = fake_link_open (fake, CHOIR_DIALECT_CHOIR, users[i],
                               "\"permissions\":[\"document:*:write\",\"document:*:read\"]", NULL);
  choir_session_subscribe (fake_link_get_session (self->link), "document:a", &channel, &error);
  g_assert_no_error (error);
  self->text = choir_rope_new ();
  g_queue_init (&self->pending);
  while (fake_link_get_n_frames (self->link) > 0)
    g_free (fake_link_take (self->link));
}

static void
editor_check (Editor *self, ChoirDocument *document)
{
  g_autofree char *text = choir_rope_dup_text (self->text, NULL);

  while (editor_read (self))
    continue;

  g_assert_cmpuint (self->pending.length, ==, 0);
  g_assert_cmpuint (self->known, ==, choir_document_get_version (document));
  g_free (text);
  text = choir_rope_dup_text (self->text, NULL);
  assert_text (document, text);
}

static void
commit_anyhow (ChoirDocument *document)
{
  Outcome outcome = submit (document, CHOIR_VERSION_UNKNOWN, NULL, "[\"!\"]");

  g_assert_cmpint (outcome.status, ==, CHOIR_CHANGE_COMMITTED);
}

/* What another node does: what waits here has to be placed again */
static void
write_elsewhere (FakeHub *fake)
{
  ChoirStoreEntry entry = { .user_id = "elsewhere", .data = "[\"N\"]", .len = 5 };

  choir_store_append_async (fake->store, "document:a", CHOIR_STORE_ANY_OFFSET, &entry, 1, NULL,
                            NULL, NULL);
}

static void
run_editors (guint32 seed, gboolean with_other_node)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  ChoirDocument *document = open_document (fake, "a");
  Editor editors[3] = { 0 };

  for (guint i = 0; i < 3; i++)
    editor_open (&editors[i], fake, document, i);
  for (guint i = 0; i < 3; i++)
    while (fake_link_get_n_frames (editors[i].link) > 0)
      g_free (fake_link_take (editors[i].link));

  for (guint step = 0; step < 200; step++)
    {
      Editor *editor = &editors[g_rand_int_range (rand, 0, 3)];

      switch (g_rand_int_range (rand, 0, 4))
        {
        case 0:
        case 1:
          editor_write (editor, document, rand);
          break;
        case 2:
          editor_read (editor);
          break;
        default:
          g_main_context_iteration (NULL, FALSE);
        }

      if (with_other_node && g_rand_int_range (rand, 0, 12) == 0)
        write_elsewhere (fake);
    }

  fake_hub_iterate ();
  /* so that what was done elsewhere is noticed */
  commit_anyhow (document);
  g_test_message ("seed %u", seed);
  for (guint i = 0; i < 3; i++)
    editor_check (&editors[i], document);

  for (guint i = 0; i < 3; i++)
    {
      fake_link_end (editors[i].link, 1000);
      g_object_unref (editors[i].link);
      choir_rope_free (editors[i].text);
    }
  close_document (fake, document);
}

/* Several changes in flight of each, answers read late: all end with the same text */
static void
test_convergence (void)
{
  for (guint32 seed = 1; seed <= 60; seed++)
    run_editors (seed, FALSE);
}

static void
test_convergence_of_nodes (void)
{
  for (guint32 seed = 1001; seed <= 1060; seed++)
    run_editors (seed, TRUE);
}

/* One who types on and on without ever having heard of all of it */
static void
test_always_ahead (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  Editor alice = { 0 };

  editor_open (&alice, fake, document, 0);
  for (guint i = 0; i < 1500; i++)
    {
      g_autofree char *json = i == 0 ? g_strdup ("[\"a\"]") : g_strdup_printf ("[%u,\"a\"]", i);
      ChoirTextOperation *operation = parse (json);

      choir_text_operation_apply (operation, alice.text);
      g_queue_push_tail (&alice.pending, operation);
      submit_full (document, fake_link_get_session (alice.link), alice.known, NULL, json, NULL);
      if (i % 3 == 0)
        submit_full (document, NULL, CHOIR_VERSION_UNKNOWN, NULL, "[\"b\"]", NULL);
      if (i % 2 == 0)
        g_main_context_iteration (NULL, FALSE);
      while (alice.pending.length > 4 && editor_read (&alice))
        continue;
    }

  fake_hub_iterate ();
  while (editor_read (&alice))
    continue;
  g_assert_cmpuint (alice.pending.length, ==, 0);
  g_assert_cmpint (fake_hub_count (fake, "choir_document_changes", "committed"), ==, 2000);
  g_assert_cmpint (fake_hub_count (fake, "choir_document_changes", "conflict"), ==, 0);
  editor_check (&alice, document);

  fake_link_end (alice.link, 1000);
  g_object_unref (alice.link);
  choir_rope_free (alice.text);
  close_document (fake, document);
}

/* Several in flight, the connection lost, all sent again as they were: what has been committed is
 * what the new ones stand on */
static void
test_sent_again (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  Editor before = { 0 }, after = { 0 };
  Outcome outcomes[3] = { 0 };

  commit (document, "[\"0123456789\"]");
  commit (document, "[\"B\"]");
  editor_open (&before, fake, document, 0);
  submit_full (document, fake_link_get_session (before.link), 1, "1", "[10,\"x\"]", NULL);
  submit_full (document, fake_link_get_session (before.link), 1, "2", "[11,\"y\"]", NULL);
  fake_hub_iterate ();
  assert_text (document, "B0123456789xy");
  fake_link_end (before.link, 1006);

  editor_open (&after, fake, document, 0);
  submit_full (document, fake_link_get_session (after.link), 1, "1", "[10,\"x\"]", &outcomes[0]);
  submit_full (document, fake_link_get_session (after.link), 1, "2", "[11,\"y\"]", &outcomes[1]);
  submit_full (document, fake_link_get_session (after.link), 1, "3", "[12,\"z\"]", &outcomes[2]);
  fake_hub_iterate ();
  g_assert_cmpint (outcomes[0].status, ==, CHOIR_CHANGE_DUPLICATE);
  g_assert_cmpint (outcomes[1].status, ==, CHOIR_CHANGE_DUPLICATE);
  g_assert_cmpuint (outcomes[1].version, ==, 4);
  g_assert_cmpuint (outcomes[2].n_calls, ==, 0);
  assert_text (document, "B0123456789xyz");

  fake_link_end (after.link, 1000);
  g_object_unref (before.link);
  g_object_unref (after.link);
  choir_rope_free (before.text);
  choir_rope_free (after.text);
  close_document (fake, document);
}

/* What stands on a change that was refused is refused as well */
static void
test_followers (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirDocument *document = open_document (fake, "a");
  Editor alice = { 0 };
  Outcome outcomes[3] = { 0 };

  editor_open (&alice, fake, document, 0);
  submit_full (document, fake_link_get_session (alice.link), 0, NULL, "[9,\"far\"]", &outcomes[0]);
  submit_full (document, fake_link_get_session (alice.link), 0, NULL, "[\"follows\"]",
               &outcomes[1]);
  submit_full (document, NULL, 0, NULL, "[\"another's\"]", &outcomes[2]);
  while (outcomes[2].n_calls == 0)
    g_main_context_iteration (NULL, TRUE);

  g_assert_cmpint (outcomes[0].code, ==, CHOIR_ERROR_VALIDATION);
  g_assert_cmpint (outcomes[1].status, ==, CHOIR_CHANGE_CONFLICT);
  g_assert_cmpint (outcomes[2].status, ==, CHOIR_CHANGE_COMMITTED);
  assert_text (document, "another's");

  fake_link_end (alice.link, 1000);
  g_object_unref (alice.link);
  choir_rope_free (alice.text);
  close_document (fake, document);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/document/commit", test_commit);
  g_test_add_func ("/document/stored-first", test_stored_first);
  g_test_add_func ("/document/concurrent", test_concurrent);
  g_test_add_func ("/document/duplicates", test_duplicates);
  g_test_add_func ("/document/duplicate-in-batch", test_duplicate_in_batch);
  g_test_add_func ("/document/find-change", test_find_change);
  g_test_add_func ("/document/exact", test_exact);
  g_test_add_func ("/document/conflicts", test_conflicts);
  g_test_add_func ("/document/older", test_older);
  g_test_add_func ("/document/too-much-work", test_too_much_work);
  g_test_add_func ("/document/invalid", test_invalid);
  g_test_add_func ("/document/other-node", test_other_node);
  g_test_add_func ("/document/past", test_past);
  g_test_add_func ("/document/since", test_since);
  g_test_add_func ("/document/save", test_save);
  g_test_add_func ("/document/table", test_table);
  g_test_add_func ("/document/convergence", test_convergence);
  g_test_add_func ("/document/convergence-of-nodes", test_convergence_of_nodes);
  g_test_add_func ("/document/always-ahead", test_always_ahead);
  g_test_add_func ("/document/sent-again", test_sent_again);
  g_test_add_func ("/document/followers", test_followers);

  return g_test_run ();
}
