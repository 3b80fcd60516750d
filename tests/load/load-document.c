/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "load-document.h"

#include <string.h>

#define COLLECTION "load"
#define TYPE_URI "http://sharejs.org/types/text-unicode"

#define find_literal(at, end, literal) find_bytes (at, end, literal, sizeof literal - 1)

/* What stands behind the first @wanted; NULL if it is not there */
static const char *
find_bytes (const char *at, const char *end, const char *wanted, gsize n)
{
  const char *found = memmem (at, (gsize) (end - at), wanted, n);

  return found != NULL ? found + n : NULL;
}

static gboolean
has_prefix (const char *at, const char *end, const char *prefix)
{
  gsize n = strlen (prefix);

  return (gsize) (end - at) >= n && memcmp (at, prefix, n) == 0;
}

static guint64
read_number (const char *at, const char *end)
{
  guint64 value = 0;

  for (; at != NULL && at < end && g_ascii_isdigit (*at); at++)
    value = value * 10 + (guint64) (*at - '0');

  return value;
}

/* Length of the string that begins at @at. An escape would count for more than one; there is none
 * in a text that choir-edit has made */
static gsize
read_length (const char *at, const char *end)
{
  const char *quote = at != NULL ? memchr (at, '"', (gsize) (end - at)) : NULL;

  return quote != NULL ? (gsize) (quote - at) : 0;
}

/* 0: this protocol begins with the server's greeting */
gsize
load_document_write_greeting (LoadWords words, char *out)
{
  if (words == LOAD_WORDS_CHOIR)
    return 0;

  return (gsize) g_snprintf (out, LOAD_DOCUMENT_MESSAGE_MAX,
                             "{\"a\":\"hs\",\"id\":null,\"protocol\":1,\"protocolMinor\":2}");
}

gsize
load_document_write_open (LoadWords words, char *out, const char *name)
{
  if (words == LOAD_WORDS_SHAREDB)
    return (gsize) g_snprintf (out, LOAD_DOCUMENT_MESSAGE_MAX,
                               "{\"a\":\"s\",\"c\":\"" COLLECTION "\",\"d\":\"%s\",\"v\":null}",
                               name);

  return (gsize) g_snprintf (out, LOAD_DOCUMENT_MESSAGE_MAX,
                             "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"%s\"}}",
                             name);
}

gsize
load_document_write_close (LoadWords words, char *out, const char *name)
{
  if (words == LOAD_WORDS_SHAREDB)
    return (gsize) g_snprintf (out, LOAD_DOCUMENT_MESSAGE_MAX,
                               "{\"a\":\"u\",\"c\":\"" COLLECTION "\",\"d\":\"%s\"}", name);

  return (gsize) g_snprintf (out, LOAD_DOCUMENT_MESSAGE_MAX,
                             "{\"type\":\"document.close\",\"payload\":{\"document_id\":\"%s\"}}",
                             name);
}

/* Canonical: nothing kept is left out rather than written as 0 */
static void
append_operation (GString *out, const LoadEdit *edit)
{
  g_string_append_c (out, '[');
  if (edit->position > 0)
    g_string_append_printf (out, "%" G_GSIZE_FORMAT ",", edit->position);
  g_string_append_c (out, '"');
  g_string_append_len (out, edit->text, (gssize) edit->n_text);
  g_string_append_c (out, '"');
  if (edit->n_deleted > 0)
    g_string_append_printf (out, ",{\"d\":%" G_GSIZE_FORMAT "}", edit->n_deleted);
  g_string_append_c (out, ']');
}

static void
append_sharedb_edit (GString *out, const LoadEdit *edit)
{
  g_string_append_printf (out,
                          "{\"a\":\"op\",\"c\":\"" COLLECTION
                          "\",\"d\":\"%s\",\"v\":%" G_GUINT64_FORMAT ",\"seq\":%" G_GUINT64_FORMAT
                          ",\"x\":{},",
                          edit->name, edit->version, edit->number);
  if (edit->version == 0)
    {
      g_string_append (out, "\"create\":{\"type\":\"" TYPE_URI "\",\"data\":\"");
      g_string_append_len (out, edit->text, (gssize) edit->n_text);
      g_string_append (out, "\"}}");
      return;
    }
  g_string_append (out, "\"op\":");
  append_operation (out, edit);
  g_string_append_c (out, '}');
}

/* Replaces what @out holds; returns its length */
gsize
load_document_write_edit (LoadWords words, GString *out, const LoadEdit *edit)
{
  g_string_truncate (out, 0);
  if (words == LOAD_WORDS_SHAREDB)
    {
      append_sharedb_edit (out, edit);
      return out->len;
    }

  g_string_append_printf (out,
                          "{\"type\":\"document.change\",\"payload\":{\"document_id\":\"%s\","
                          "\"version\":%" G_GUINT64_FORMAT ",\"change_id\":\"%s\",\"operation\":",
                          edit->name, edit->version, edit->change_id);
  append_operation (out, edit);
  g_string_append (out, "}}");

  return out->len;
}

/* @at stands behind `"type":"` */
static void
read_choir_message (const char *at, const char *end, LoadEvent *event)
{
  event->kind = LOAD_EVENT_OTHER;
  if (has_prefix (at, end, "document.change\""))
    event->kind = LOAD_EVENT_CHANGED;
  else if (has_prefix (at, end, "document.ack\""))
    event->kind = LOAD_EVENT_ACKNOWLEDGED;
  else if (has_prefix (at, end, "document.opened\""))
    event->kind = LOAD_EVENT_OPENED;
  else if (has_prefix (at, end, "document.closed\""))
    event->kind = LOAD_EVENT_CLOSED;
  else if (has_prefix (at, end, "error\"") || has_prefix (at, end, "conflict.detected\""))
    event->kind = LOAD_EVENT_REFUSED;

  if (event->kind >= LOAD_EVENT_OPENED && event->kind != LOAD_EVENT_REFUSED)
    event->version = read_number (find_literal (at, end, "\"version\":"), end);
  if (event->kind == LOAD_EVENT_OPENED)
    event->n_chars = read_length (find_literal (at, end, "\"content\":\""), end);
}

/* One message a frame. Their version is the one an operation was made for */
static void
read_sharedb_message (const char *at, const char *end, LoadEvent *event)
{
  guint64 version = read_number (find_literal (at, end, "\"v\":"), end);

  event->kind = LOAD_EVENT_OTHER;
  if (find_literal (at, end, "\"error\":") != NULL)
    event->kind = LOAD_EVENT_REFUSED;
  else if (find_literal (at, end, "\"a\":\"hs\"") != NULL)
    event->kind = LOAD_EVENT_GREETED;
  else if (find_literal (at, end, "\"a\":\"u\"") != NULL)
    event->kind = LOAD_EVENT_CLOSED;
  else if (find_literal (at, end, "\"a\":\"s\"") != NULL)
    {
      event->kind = LOAD_EVENT_OPENED;
      event->version = version;
      event->n_chars = read_length (find_literal (at, end, "\"data\":\""), end);
    }
  else if (find_literal (at, end, "\"a\":\"op\"") != NULL)
    {
      gboolean foreign = find_literal (at, end, "\"op\":[") != NULL;

      event->kind = foreign ? LOAD_EVENT_CHANGED : LOAD_EVENT_ACKNOWLEDGED;
      event->version = version + 1;
    }
}

/**
 * load_document_next:
 * @at: (inout): where to look in a frame
 * @end: its end
 * @event: (out):
 *
 * Takes the next message out of a frame. No parser, on purpose: the generator would be busier than
 * the server. It knows what is asked of it, and that no text it wrote holds a quote.
 *
 * Returns: FALSE when there is none left
 */
gboolean
load_document_next (LoadWords words, const char **at, const char *end, LoadEvent *event)
{
  const char *type;

  *event = (LoadEvent){ 0 };
  if (*at >= end)
    return FALSE;
  if (words == LOAD_WORDS_SHAREDB)
    {
      read_sharedb_message (*at, end, event);
      *at = end;
      return TRUE;
    }

  type = find_literal (*at, end, "{\"type\":\"");
  if (type == NULL)
    return FALSE;
  read_choir_message (type, end, event);
  *at = type;

  return TRUE;
}
