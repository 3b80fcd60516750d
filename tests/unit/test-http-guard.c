/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-guard.h"

#include <string.h>

#define FINE CHOIR_HTTP_GUARD_FINE
#define PARTIAL CHOIR_HTTP_GUARD_PARTIAL
#define BAD CHOIR_HTTP_GUARD_BAD

#define GET "GET /healthz HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define END "\r\n"
/* A head that is in order but for @fields */
#define WITH(fields) GET HOST fields END
/* One that is in order but for its first line */
#define LINE(line) line "\r\n" HOST END
/* With its length, since a NUL may be in it */
#define HEAD(name, text, result)                                                                   \
  {                                                                                                \
    name, text, sizeof text - 1, result                                                            \
  }

typedef struct
{
  const char *name;
  const char *text;
  gsize len;
  ChoirHttpGuardResult result;
} Head;

static const Head heads[] = {
  /* RFC 9112 3: the request line */
  HEAD ("line/ordinary", GET HOST END, FINE),
  HEAD ("line/http-1.0", LINE ("GET / HTTP/1.0"), FINE),
  HEAD ("line/strange-method", LINE ("M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.1"), FINE),
  HEAD ("line/asterisk", LINE ("OPTIONS * HTTP/1.1"), FINE),
  HEAD ("line/absolute", LINE ("GET http://a/b?c=d HTTP/1.1"), FINE),
  HEAD ("line/high-bytes", LINE ("GET /\xc3\xa9 HTTP/1.1"), FINE),
  HEAD ("line/no-version", LINE ("GET /healthz"), BAD),
  HEAD ("line/only-a-word", LINE ("GET"), BAD),
  HEAD ("line/version-9.9", LINE ("GET / HTTP/9.9"), BAD),
  HEAD ("line/version-2.0", LINE ("PRI * HTTP/2.0"), BAD),
  HEAD ("line/version-lower-case", LINE ("GET / http/1.1"), BAD),
  HEAD ("line/version-longer", LINE ("GET / HTTP/1.10"), BAD),
  HEAD ("line/version-shorter", LINE ("GET / HTTP/1."), BAD),
  HEAD ("line/space-behind", LINE ("GET / HTTP/1.1 "), BAD),
  HEAD ("line/space-in-target", LINE ("GET /a b HTTP/1.1"), BAD),
  HEAD ("line/two-spaces", LINE ("GET  / HTTP/1.1"), BAD),
  HEAD ("line/tabs", LINE ("GET\t/\tHTTP/1.1"), BAD),
  HEAD ("line/tab-in-target", LINE ("GET /a\tb HTTP/1.1"), BAD),
  HEAD ("line/empty-target", LINE ("GET  HTTP/1.1"), BAD),
  HEAD ("line/no-method", LINE (" / HTTP/1.1"), BAD),
  HEAD ("line/method-with-colon", LINE ("GE:T / HTTP/1.1"), BAD),
  HEAD ("line/method-with-nul", LINE ("GE\0T / HTTP/1.1"), BAD),
  HEAD ("line/target-with-nul", LINE ("GET /a\0b HTTP/1.1"), BAD),
  HEAD ("line/target-with-del", LINE ("GET /a\177b HTTP/1.1"), BAD),
  HEAD ("line/target-with-cr", LINE ("GET /a\rb HTTP/1.1"), BAD),
  HEAD ("line/empty-line-before", END GET HOST END, BAD),
  HEAD ("line/tls-hello", "\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", BAD),

  /* RFC 9112 2.2: how lines end */
  HEAD ("end/lf-alone", "GET / HTTP/1.1\nHost: a\n\n", BAD),
  HEAD ("end/lf-behind-a-field", GET "Host: a\n\r\n", BAD),
  HEAD ("end/lf-alone-last", GET HOST "\n", BAD),
  HEAD ("end/cr-cr-lf", GET "Host: a\r\r\n\r\n", BAD),
  HEAD ("end/lf-first", "\n" GET HOST END, BAD),
  HEAD ("end/body-is-not-looked-at", WITH ("Content-Length: 4\r\n") "\n\0\r\n", FINE),

  /* RFC 9112 5: fields */
  HEAD ("field/several", WITH ("Accept: */*\r\nX-Y_z.1: a\tb, \"c\"\r\nEmpty:\r\n"), FINE),
  HEAD ("field/no-space", WITH ("A:b\r\n"), FINE),
  HEAD ("field/colons-in-value", WITH ("A: b:c: d\r\n"), FINE),
  HEAD ("field/high-bytes-in-value", WITH ("A: \xe9\xff\r\n"), FINE),
  HEAD ("field/no-colon", WITH ("nonsense\r\n"), BAD),
  HEAD ("field/no-name", WITH (": b\r\n"), BAD),
  HEAD ("field/space-before-colon", WITH ("A : b\r\n"), BAD),
  HEAD ("field/tab-before-colon", WITH ("A\t: b\r\n"), BAD),
  HEAD ("field/space-in-name", WITH ("A B: c\r\n"), BAD),
  HEAD ("field/folded", WITH ("A: b\r\n c\r\n"), BAD),
  HEAD ("field/folded-by-tab", WITH ("A: b\r\n\tc: d\r\n"), BAD),
  HEAD ("field/folded-first", GET " Host: a\r\n" END, BAD),
  HEAD ("field/control-in-name", WITH ("A\001: b\r\n"), BAD),
  HEAD ("field/nul-in-name", WITH ("A\0: b\r\n"), BAD),
  HEAD ("field/high-byte-in-name", WITH ("A\xc3\xa9: b\r\n"), BAD),
  HEAD ("field/parenthesis-in-name", WITH ("A(b): c\r\n"), BAD),
  HEAD ("field/nul-in-value", WITH ("A: b\0c\r\n"), BAD),
  HEAD ("field/cr-in-value", WITH ("A: b\rC: d\r\n"), BAD),
  HEAD ("field/vertical-tab-in-value", WITH ("A: \vb\r\n"), BAD),
  HEAD ("field/escape-in-value", WITH ("A: \033[2J\r\n"), BAD),
  HEAD ("field/del-in-value", WITH ("A: b\177\r\n"), BAD),

  /* RFC 9112 3.2: one Host */
  HEAD ("host/any-case", GET "hOST: example.com:80\r\n" END, FINE),
  HEAD ("host/white-space-round-it", GET "Host: \t a \t \r\n" END, FINE),
  HEAD ("host/empty", GET "Host:\r\n" END, FINE),
  HEAD ("host/ipv6", GET "Host: [::1]:80\r\n" END, FINE),
  HEAD ("host/missing", GET END, BAD),
  HEAD ("host/missing-of-1.0", "GET / HTTP/1.0\r\n" END, BAD),
  HEAD ("host/twice", WITH ("Host: b\r\n"), BAD),
  HEAD ("host/twice-the-same", WITH ("HOST: a\r\n"), BAD),
  HEAD ("host/two-words", GET "Host: a b\r\n" END, BAD),
  HEAD ("host/longer-name-is-another", GET "Hosts: a\r\n" END, BAD),
  HEAD ("host/shorter-name-is-another", GET "Hos: a\r\n" END, BAD),

  /* RFC 9112 6: the body's length */
  HEAD ("length/zero", WITH ("Content-Length: 0\r\n"), FINE),
  HEAD ("length/zeroes-before", WITH ("Content-Length: 007\r\n"), FINE),
  HEAD ("length/18-digits", WITH ("content-length: 999999999999999999\r\n"), FINE),
  HEAD ("length/19-digits", WITH ("Content-Length: 1000000000000000000\r\n"), BAD),
  HEAD ("length/past-64-bits", WITH ("Content-Length: 18446744073709551616\r\n"), BAD),
  HEAD ("length/empty", WITH ("Content-Length: \r\n"), BAD),
  HEAD ("length/plus", WITH ("Content-Length: +1\r\n"), BAD),
  HEAD ("length/minus", WITH ("Content-Length: -1\r\n"), BAD),
  HEAD ("length/hex", WITH ("Content-Length: 0x1\r\n"), BAD),
  HEAD ("length/list", WITH ("Content-Length: 1, 1\r\n"), BAD),
  HEAD ("length/space-inside", WITH ("Content-Length: 1 1\r\n"), BAD),
  HEAD ("length/twice", WITH ("Content-Length: 1\r\nContent-Length: 2\r\n"), BAD),
  HEAD ("length/twice-the-same", WITH ("Content-Length: 1\r\nContent-Length: 1\r\n"), BAD),
  HEAD ("coding/chunked", WITH ("Transfer-Encoding: chunked\r\n"), FINE),
  HEAD ("coding/any-case", WITH ("transfer-encoding:\tChunked \r\n"), FINE),
  HEAD ("coding/unknown", WITH ("Transfer-Encoding: xchunked\r\n"), BAD),
  HEAD ("coding/identity", WITH ("Transfer-Encoding: identity\r\n"), BAD),
  HEAD ("coding/list", WITH ("Transfer-Encoding: gzip, chunked\r\n"), BAD),
  HEAD ("coding/quoted", WITH ("Transfer-Encoding: \"chunked\"\r\n"), BAD),
  HEAD ("coding/empty", WITH ("Transfer-Encoding:\r\n"), BAD),
  HEAD ("coding/twice", WITH ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), BAD),
  HEAD ("coding/behind-length", WITH ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), BAD),
  HEAD ("coding/before-length", WITH ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), BAD),

  /* Not all there */
  HEAD ("partial/nothing", "", PARTIAL),
  HEAD ("partial/half-a-line", "GET /heal", PARTIAL),
  HEAD ("partial/half-a-line-end", "GET / HTTP/1.1\r", PARTIAL),
  HEAD ("partial/a-line", GET, PARTIAL),
  HEAD ("partial/half-a-field", GET "Hos", PARTIAL),
  HEAD ("partial/fields", GET HOST, PARTIAL),
  HEAD ("partial/half-the-end", GET HOST "\r", PARTIAL),
  HEAD ("partial/bad-already", GET "nonsense\r\nHos", BAD),
};

/* On the heap and without a NUL, so that ASan sees a step too far */
static ChoirHttpGuardResult
check (const char *text, gsize len)
{
  g_autofree char *copy = g_malloc (MAX (len, 1));

  memcpy (copy, text, len);

  return choir_http_guard_check (copy, len);
}

static void
test_head (gconstpointer data)
{
  const Head *head = data;

  g_assert_cmpint (check (head->text, head->len), ==, head->result);
}

/* However a head is cut, what has come of a good one is never called bad, and it is fine as soon as
 * the empty line is there */
static void
test_cut_anywhere (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (heads); i++)
    {
      const char *end = memmem (heads[i].text, heads[i].len, "\r\n\r\n", 4);

      if (heads[i].result != FINE)
        continue;

      g_assert_nonnull (end);
      for (gsize len = 0; len <= heads[i].len; len++)
        g_assert_cmpint (check (heads[i].text, len), ==,
                         len < (gsize) (end + 4 - heads[i].text) ? PARTIAL : FINE);
    }
}

/* A bad head may look unfinished for a while, but not fine */
static void
test_bad_when_cut (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (heads); i++)
    if (heads[i].result == BAD)
      for (gsize len = 0; len < heads[i].len; len++)
        g_assert_cmpint (check (heads[i].text, len), !=, FINE);
}

/* Whatever byte stands in a name or a value */
static void
test_every_byte (void)
{
  for (guint byte = 0; byte < 256; byte++)
    {
      char head[] = GET HOST "A?B: c?d\r\n" END;
      char *name = strchr (head, '?');
      char *value = strrchr (head, '?');
      gboolean is_token =
        byte < 128 && byte != 0 &&
        (g_ascii_isalnum ((char) byte) || strchr ("!#$%&'*+-.^_`|~", (int) byte) != NULL);
      gboolean is_text = byte == '\t' || (byte >= ' ' && byte != 127);

      *value = 'x';
      *name = (char) byte;
      /* a colon ends the name, and what is behind it is the value */
      g_assert_cmpint (check (head, sizeof head - 1), ==, is_token || byte == ':' ? FINE : BAD);

      *name = 'x';
      *value = (char) byte;
      g_assert_cmpint (check (head, sizeof head - 1), ==, is_text ? FINE : BAD);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (heads); i++)
    {
      g_autofree char *path = g_strconcat ("/http-guard/head/", heads[i].name, NULL);

      g_test_add_data_func (path, &heads[i], test_head);
    }
  g_test_add_func ("/http-guard/cut-anywhere", test_cut_anywhere);
  g_test_add_func ("/http-guard/bad-when-cut", test_bad_when_cut);
  g_test_add_func ("/http-guard/every-byte", test_every_byte);

  return g_test_run ();
}
