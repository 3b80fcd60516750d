/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-cbor.h"
#include "choir-clock.h"
#include "choir-container.h"
#include "choir-id.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#define SECRET "an HMAC secret for tests, 64 bytes of it, which none may use 1234"

static void
write_file (const char *file, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_file_set_contents_full (file, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error);
  g_assert_no_error (error);
}

/* Who is gone is gone, unless a test is about coming back */
static void
write_settings (FakeHub *self, const char *settings)
{
  const char *more = settings != NULL ? settings : "";
  gboolean resumes = strstr (more, "resume-window=") != NULL;
  g_autofree char *text = g_strconcat ("[rate]\ndefault=1000/1s\n", more,
                                       resumes ? "\n" : "\n[session]\nresume-window=0\n", NULL);

  write_file (self->file, text);
}

static ChoirVerifier *
make_verifier (FakeHub *self)
{
  static const char *const required[] = { "sub", NULL };
  static const ChoirVerifierPolicy policy = { .required_claims = required };
  g_autofree char *secret = g_build_filename (self->directory, "secret", NULL);
  g_autofree char *spec = g_strconcat ("HS256:main:", secret, NULL);
  const char *const specs[] = { spec, NULL };
  g_autoptr (ChoirKeySet) keys = NULL;
  g_autoptr (GError) error = NULL;

  write_file (secret, SECRET);
  keys = choir_key_set_new_from_specs (specs, &error);
  g_assert_no_error (error);

  return choir_verifier_new (keys, &policy);
}

static FakeHub *
make_hub (const char *settings, gboolean with_users, ChoirStore *store, gboolean with_store)
{
  FakeHub *self = g_new0 (FakeHub, 1);
  g_autoptr (GError) error = NULL;

  choir_clock_freeze (1000 * G_USEC_PER_SEC, FAKE_NOW_S * G_USEC_PER_SEC);
  self->directory = g_dir_make_tmp ("choir-hub-XXXXXX", NULL);
  self->file = g_build_filename (self->directory, "choir.conf", NULL);
  write_settings (self, settings);
  self->config = choir_config_new ();
  choir_config_load (self->config, self->file, NULL, NULL, &error);
  g_assert_no_error (error);

  self->verifier = make_verifier (self);
  self->wheel = choir_timer_wheel_new (NULL, 10);
  self->counters = choir_counters_new ();
  if (with_users)
    self->users = choir_directory_memory_new ();
  self->hub =
    choir_hub_new (self->config, self->verifier, with_users ? CHOIR_DIRECTORY (self->users) : NULL,
                   self->wheel, self->counters, &error);
  g_assert_no_error (error);
  self->is_shared = store != NULL;
  self->store = store != NULL ? g_object_ref (store) : choir_store_memory_new (64 * 1024 * 1024);
  if (with_store)
    choir_hub_set_store (self->hub, self->store);

  return self;
}

FakeHub *
fake_hub_new (const char *settings)
{
  return make_hub (settings, FALSE, NULL, TRUE);
}

/* With what another had before, for instance */
FakeHub *
fake_hub_new_with_store (const char *settings, ChoirStore *store)
{
  return make_hub (settings, FALSE, store, TRUE);
}

/* One that has no documents */
FakeHub *
fake_hub_new_without_store (const char *settings)
{
  return make_hub (settings, FALSE, NULL, FALSE);
}

FakeHub *
fake_hub_new_with_users (const char *settings)
{
  return make_hub (settings, TRUE, NULL, TRUE);
}

void
fake_hub_free (FakeHub *self)
{
  g_autofree char *secret = g_build_filename (self->directory, "secret", NULL);

  fake_hub_iterate ();
  g_assert_finalize_object (self->hub);
  fake_hub_iterate ();
  if (self->is_shared)
    g_object_unref (self->store);
  else
    g_assert_finalize_object (self->store);
  choir_timer_wheel_free (self->wheel);
  choir_counters_free (self->counters);
  g_clear_object (&self->users);
  g_object_unref (self->verifier);
  g_object_unref (self->config);
  g_unlink (secret);
  g_unlink (self->file);
  g_rmdir (self->directory);
  g_free (self->file);
  g_free (self->directory);
  g_free (self);
  choir_clock_thaw ();
}

/* As SIGHUP does */
gboolean
fake_hub_reload (FakeHub *self, const char *settings, GError **error)
{
  write_settings (self, settings);

  return choir_config_reload (self->config, error) && choir_hub_configure (self->hub, error);
}

/* In steps, so that timers which arm themselves again fire as often as they would */
void
fake_hub_advance (FakeHub *self, gint64 us)
{
  while (us > 0)
    {
      gint64 step = MIN (us, 50 * 1000);

      choir_clock_advance (step);
      choir_timer_wheel_advance (self->wheel);
      us -= step;
    }
}

void
fake_hub_iterate (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    continue;
}

char *
fake_hub_mint (FakeHub *self, const char *user_id, const char *more_claims)
{
  g_autofree char *claims =
    g_strdup_printf ("{\"sub\":\"%s\"%s%s}", user_id, more_claims != NULL ? "," : "",
                     more_claims != NULL ? more_claims : "");
  g_autoptr (GError) error = NULL;
  char *token = choir_verifier_mint (self->verifier, claims, &error);

  g_assert_no_error (error);

  return token;
}

/* A figure as /metrics would show it */
gint64
fake_hub_count (FakeHub *self, const char *name, const char *label)
{
  return *choir_counters_get_cell (self->counters, name, label);
}

static void
published_cb (const ChoirPublished *published, const GError *error, gpointer user_data)
{
  guint *n_recipients = user_data;

  g_assert_no_error (error);
  *n_recipients = published->n_recipients;
}

static void
banned_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  guint n_closed = 0;

  choir_blocklist_ban_finish (CHOIR_BLOCKLIST (source), result, &n_closed, &error);
  g_assert_no_error (error);
  *(gint *) user_data = (gint) n_closed;
}

guint
fake_hub_ban (FakeHub *self, ChoirBanKind kind, const char *name)
{
  const ChoirBan ban = { .name = name, .reason = "a secret of ours" };
  gint n_closed = -1;

  choir_blocklist_ban_async (choir_hub_get_blocklist (self->hub), kind, &ban, NULL, banned_cb,
                             &n_closed);
  while (n_closed < 0)
    g_main_context_iteration (NULL, TRUE);

  return (guint) n_closed;
}

/* As a back end would; returns the recipients */
guint
fake_hub_publish (FakeHub *self, const char *channel, const char *type, const char *payload)
{
  ChoirPublication publication = {
    .channel = channel,
    .type = type,
    .payload = choir_slice (payload),
  };
  guint n_recipients = G_MAXUINT;

  choir_hub_publish_async (self->hub, &publication, published_cb, &n_recipients);
  while (n_recipients == G_MAXUINT)
    g_main_context_iteration (NULL, TRUE);

  return n_recipients;
}

struct _FakeLink
{
  GObject parent_instance;

  ChoirOutbox outbox;
  ChoirSession *session; /* (owned) (nullable) */
  GQueue messages;       /* (element-type utf8) (owned): out of frames that held several */
  GByteArray *begun;     /* (owned): a message whose last part has not come */
  char *reason;          /* (owned) (nullable) */
  guint code;
  guint n_overflows;
  gboolean is_binary; /* what has begun */
  char id[CHOIR_ID_SIZE];
};

static void fake_link_iface_init (ChoirLinkInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (FakeLink,
                               fake_link,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_LINK, fake_link_iface_init))

static ChoirOutbox *
get_outbox (ChoirLink *link)
{
  return &FAKE_LINK (link)->outbox;
}

static void
close_link (ChoirLink *link, guint code, const char *reason)
{
  FakeLink *self = FAKE_LINK (link);

  if (self->code != 0)
    return;

  self->code = code;
  self->reason = g_strdup (reason);
  self->outbox.flags |= CHOIR_OUTBOX_CLOSED;
}

static const char *
get_id (ChoirLink *link)
{
  return FAKE_LINK (link)->id;
}

static char *
dup_address (ChoirLink *link)
{
  return g_strdup ("192.0.2.1");
}

static gboolean
take_unsent (ChoirLink *link, ChoirOutbox *into)
{
  FakeLink *self = FAKE_LINK (link);

  if (!choir_outbox_copy_unsent (&self->outbox, into))
    return FALSE;

  choir_outbox_drop_unsent (&self->outbox, 0);

  return TRUE;
}

static void
set_session (ChoirLink *link, ChoirSession *session)
{
  g_set_object (&FAKE_LINK (link)->session, session);
}

static void
fake_link_iface_init (ChoirLinkInterface *iface)
{
  iface->take_unsent = take_unsent;
  iface->set_session = set_session;
  iface->get_outbox = get_outbox;
  iface->close = close_link;
  iface->get_id = get_id;
  iface->dup_address = dup_address;
}

static void
fake_link_finalize (GObject *object)
{
  FakeLink *self = FAKE_LINK (object);

  fake_link_end (self, 1000);
  choir_outbox_clear (&self->outbox);
  g_queue_clear_full (&self->messages, g_free);
  g_byte_array_unref (self->begun);
  g_free (self->reason);

  G_OBJECT_CLASS (fake_link_parent_class)->finalize (object);
}

static void
fake_link_class_init (FakeLinkClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = fake_link_finalize;
}

static void
wake (ChoirOutbox *outbox)
{
}

static void
overflow (ChoirOutbox *outbox)
{
  FakeLink *self = CHOIR_CONTAINER_OF (outbox, FakeLink, outbox);

  self->n_overflows++;
  close_link (CHOIR_LINK (self), 4008, "Slow consumer");
}

static const ChoirOutboxFuncs outbox_funcs = { wake, overflow };

static void
fake_link_init (FakeLink *self)
{
  g_queue_init (&self->messages);
  self->begun = g_byte_array_new ();
  choir_id_generate (self->id);
}

static FakeLink *
open_link (FakeHub *hub, const ChoirSessionParams *params)
{
  FakeLink *self = g_object_new (FAKE_TYPE_LINK, NULL);

  choir_outbox_init (&self->outbox, &outbox_funcs, &choir_hub_get_settings (hub->hub)->outbox);
  self->session = choir_session_new (hub->hub, CHOIR_LINK (self), params);
  choir_session_start (self->session);

  return self;
}

/* (transfer full) (nullable): as a token would say */
static ChoirClaims *
make_claims (const char *user_id, const char *claims)
{
  g_autofree char *json = NULL;
  g_autoptr (GError) error = NULL;
  ChoirClaims *parsed;

  if (user_id == NULL)
    return NULL;

  json = g_strdup_printf ("{\"sub\":\"%s\"%s%s}", user_id, claims != NULL ? "," : "",
                          claims != NULL ? claims : "");
  parsed = choir_claims_new_from_json (json, -1, &error);
  g_assert_no_error (error);

  return parsed;
}

FakeLink *
fake_link_open (FakeHub *hub,
                ChoirDialectId dialect,
                const char *user_id,
                const char *claims,
                const char *default_channel)
{
  g_autoptr (ChoirClaims) parsed = make_claims (user_id, claims);
  ChoirSessionParams params = {
    .dialect = choir_dialect_get (dialect),
    .claims = parsed,
    .default_channel = default_channel,
  };

  return open_link (hub, &params);
}

FakeLink *
fake_link_return (FakeHub *hub,
                  ChoirDialectId dialect,
                  const char *user_id,
                  const char *claims,
                  const char *session_id,
                  const char *client_id)
{
  g_autoptr (ChoirClaims) parsed = make_claims (user_id, claims);
  ChoirSessionParams params = {
    .dialect = choir_dialect_get (dialect),
    .claims = parsed,
    .client_id = client_id,
    .resume_id = session_id,
  };

  return open_link (hub, &params);
}

FakeLink *
fake_link_open_guest (FakeHub *hub, ChoirDialectId dialect, const char *id)
{
  g_autoptr (ChoirClaims) claims = choir_claims_new_guest (id);
  ChoirSessionParams params = { .dialect = choir_dialect_get (dialect), .claims = claims };

  return open_link (hub, &params);
}

/* An authenticated session of the canonical dialect, greeted already */
FakeLink *
fake_link_join (FakeHub *hub, const char *user_id)
{
  FakeLink *self = fake_link_open (hub, CHOIR_DIALECT_CHOIR, user_id, NULL, NULL);

  fake_link_forget (self);

  return self;
}

/* One who may read and change every document, greeted already */
FakeLink *
fake_link_edit (FakeHub *hub, ChoirDialectId dialect, const char *user_id)
{
  FakeLink *self = fake_link_open (
    hub, dialect, user_id, "\"permissions\":[\"document:*:read\",\"document:*:write\"]", NULL);

  fake_link_forget (self);

  return self;
}

/* Opens a document and forgets what it is told about it */
void
fake_link_open_document (FakeLink *self, const char *id)
{
  guint n = choir_session_get_n_subscriptions (self->session);

  fake_link_say (self, "{\"type\":\"document.open\",\"payload\":{\"%s\":\"%s\"}}",
                 choir_dialect_get_id (choir_session_get_dialect (self->session)) ==
                     CHOIR_DIALECT_JDDB
                   ? "documentId"
                   : "document_id",
                 id);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_session_get_n_subscriptions (self->session), ==, n + 1);
  fake_link_forget (self);
}

/* Says something that can be told from other answers, and waits until it is answered */
void
fake_link_ask (FakeLink *self, const char *type, const char *payload)
{
  fake_link_say (self, "{\"type\":\"%s\",\"correlation_id\":\"q\",\"payload\":%s}", type, payload);
  fake_hub_iterate ();
}

/* Asks for what it is refused */
void
fake_link_refuse (FakeLink *self, const char *type, const char *payload, const char *code)
{
  fake_link_ask (self, type, payload);
  fake_link_expect (self, "error", "payload.code", code, "payload.original_type", type,
                    "correlation_id", "q", NULL);
  fake_link_expect_nothing (self);
}

/* Changes the only document it has open */
void
fake_link_change (FakeLink *self, const char *operation)
{
  fake_link_say (self, "{\"type\":\"document.change\",\"payload\":{\"operation\":%s}}", operation);
  fake_hub_iterate ();
}

/* The same, with nothing left to read */
void
fake_link_write (FakeLink *self, const char *operation)
{
  fake_link_change (self, operation);
  fake_link_expect (self, "document.ack", NULL);
}

ChoirDocument *
fake_hub_find_document (FakeHub *self, const char *id)
{
  return choir_document_table_find (choir_hub_get_documents (self->hub), id);
}

guint
fake_hub_count_open (FakeHub *self)
{
  return choir_document_table_get_n_open (choir_hub_get_documents (self->hub));
}

/* The connection is gone */
void
fake_link_end (FakeLink *self, guint code)
{
  if (self->session == NULL)
    return;

  choir_session_end (self->session, code);
  g_clear_object (&self->session);
}

ChoirSession *
fake_link_get_session (FakeLink *self)
{
  return self->session;
}

guint
fake_link_get_close_code (FakeLink *self)
{
  return self->code;
}

const char *
fake_link_get_close_reason (FakeLink *self)
{
  return self->reason;
}

guint
fake_link_get_n_overflows (FakeLink *self)
{
  return self->n_overflows;
}

guint
fake_link_get_n_frames (FakeLink *self)
{
  return self->messages.length + self->outbox.n_frames;
}

ChoirOutbox *
fake_link_get_outbox (FakeLink *self)
{
  return &self->outbox;
}

static void
receive_binary (FakeLink *self, const char *json)
{
  ChoirFrameBuilder builder;

  choir_frame_builder_init (&builder, strlen (json));
  g_assert_true (choir_cbor_write (&builder, choir_slice (json)));
  choir_session_receive_binary (self->session, choir_frame_builder_get_payload (&builder),
                                builder.len);
  choir_frame_builder_clear (&builder);
}

/* JSON, whatever the dialect's encoding */
void
fake_link_say (FakeLink *self, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);

  if (choir_dialect_get_table (choir_session_get_dialect (self->session))->binary)
    receive_binary (self, text);
  else
    choir_session_receive (self->session, text, strlen (text));
}

/* (transfer full): what a message says, as JSON */
static char *
read_message (gboolean binary, const guint8 *data, gsize len)
{
  static const ChoirCborLimits limits = { 128, 64 * 1024 * 1024 };
  g_autoptr (GError) error = NULL;
  GString *text;

  if (!binary)
    return g_strndup ((const char *) data, len);

  text = g_string_new (NULL);
  choir_cbor_read (data, len, &limits, text, &error);
  g_assert_no_error (error);

  return g_string_free (text, FALSE);
}

/* RFC 6455 5.2, as a client sees it; returns the bytes of the one frame that @data begins with */
static gsize
read_frame (FakeLink *self, const guint8 *data, gsize n_data)
{
  guint opcode = data[0] & 0xf;
  gsize start = 2;
  gsize len = data[1];

  g_assert_cmpuint (data[0] & 0x70, ==, 0);
  if (len >= 126)
    {
      guint n_digits = len == 126 ? 2 : 8;

      for (len = 0; start < 2 + n_digits; start++)
        len = len << 8 | data[start];
    }
  g_assert_cmpuint (start + len, <=, n_data);

  if (opcode != CHOIR_OPCODE_CONTINUATION)
    {
      g_assert_cmpuint (self->begun->len, ==, 0);
      self->is_binary = opcode == CHOIR_OPCODE_BINARY;
    }

  g_byte_array_append (self->begun, data + start, (guint) len);
  if (data[0] & 0x80)
    {
      g_queue_push_tail (&self->messages,
                         read_message (self->is_binary, self->begun->data, self->begun->len));
      g_byte_array_set_size (self->begun, 0);
    }

  return start + len;
}

/* One block of the outbox: a frame, a part of a message, or several frames */
static void
read_block (FakeLink *self)
{
  const ChoirFrame *block = choir_outbox_get_frame (&self->outbox, 0);
  gsize n_read = 0;

  while (n_read < block->len)
    n_read += read_frame (self, choir_frame_get_data (block) + n_read, block->len - n_read);

  choir_outbox_consume (&self->outbox, block->len);
  self->outbox.flags &= ~CHOIR_OUTBOX_WOKEN;
}

/* (transfer full) (nullable): the oldest message */
char *
fake_link_take (FakeLink *self)
{
  /* what has to be stored first comes later */
  if (self->messages.length == 0 && self->outbox.n_frames == 0)
    fake_hub_iterate ();

  while (self->messages.length == 0 && self->outbox.n_frames > 0)
    read_block (self);

  return g_queue_pop_head (&self->messages);
}

void
fake_link_forget (FakeLink *self)
{
  while (fake_link_get_n_frames (self) > 0)
    g_free (fake_link_take (self));
}

static JsonNode *
step_into (JsonNode *node, const char *step)
{
  if (node == NULL)
    return NULL;

  if (JSON_NODE_HOLDS_OBJECT (node))
    return json_object_get_member (json_node_get_object (node), step);

  if (JSON_NODE_HOLDS_ARRAY (node))
    {
      JsonArray *array = json_node_get_array (node);
      guint i = g_ascii_strtoull (step, NULL, 10);

      return i < json_array_get_length (array) ? json_array_get_element (array, i) : NULL;
    }

  return NULL;
}

/* (transfer full): what is at @path; the empty path and then a dot is not special: names of members
 * hold no dots here */
char *
fake_link_read (const char *json, const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = json_from_string (json, &error);
  g_auto (GStrv) steps = g_strsplit (path, ".", -1);
  JsonNode *node = root;

  g_assert_no_error (error);
  for (char **step = steps; *step != NULL; step++)
    node = step_into (node, *step);

  if (node == NULL)
    return g_strdup ("-");

  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING)
    return json_node_dup_string (node);

  return json_to_string (node, FALSE);
}

static void
expect_pair (const char *json, const char *path, const char *expected)
{
  g_autofree char *found = fake_link_read (json, path);

  if (g_strcmp0 (found, expected) != 0)
    g_error ("%s is %s, not %s, in %s", path, found, expected, json);
}

void
fake_link_expect (FakeLink *self, const char *type, ...)
{
  g_autofree char *json = fake_link_take (self);
  const char *path;
  va_list args;

  if (json == NULL)
    g_error ("nothing was sent, %s was expected", type);

  expect_pair (json, "type", type);
  va_start (args, type);
  while ((path = va_arg (args, const char *)) != NULL)
    expect_pair (json, path, va_arg (args, const char *));
  va_end (args);
}

void
fake_link_expect_nothing (FakeLink *self)
{
  g_autofree char *json = fake_link_get_n_frames (self) > 0 ? fake_link_take (self) : NULL;

  g_assert_cmpstr (json, ==, NULL);
}

void
fake_link_expect_error (FakeLink *self, const char *code)
{
  fake_link_expect (self, "error", "payload.code", code, NULL);
}
