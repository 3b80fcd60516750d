/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-accept-key.h"
#include "choir-http-head.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define LINE "GET /ws HTTP/1.1\r\n"
#define HOST "Host: a.com\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY_LINE "Sec-WebSocket-Key: " KEY "\r\n"
#define REST HOST UPGRADE CONNECTION VERSION KEY_LINE
/* A whole head with something more in it */
#define WITH(lines) LINE REST lines "\r\n"
#define TARGET(target) "GET " target " HTTP/1.1\r\n" REST "\r\n"

/* On the heap and without a NUL, so that ASan sees a step too far */
static ChoirHttpHeadResult
parse (const char *text, gsize len, ChoirHttpHead *head)
{
  g_autofree char *copy = g_memdup2 (text, MAX (len, 1));

  return choir_http_head_parse (copy, len, head);
}

static void
assert_slice (ChoirSlice slice, const char *text)
{
  g_assert_cmpmem (slice.data, slice.len, text, strlen (text));
}

static void
test_complete (void)
{
  static const char text[] = "GET /ws/a%20b?token=x.y-z_&batch=1 HTTP/1.1\r\n"
                             "hOST:  example.com:8800 \t\r\n"
                             "User-Agent: Test/1.0 (x; y)\r\n"
                             "connection: keep-alive, UpGrade\r\n"
                             "UPGRADE: WebSocket\r\n"
                             "Origin: https://a.com\r\n"
                             "Sec-WebSocket-Version: 13\r\n"
                             "Sec-WebSocket-Key: " KEY "\r\n"
                             "Sec-WebSocket-Protocol: one, two\r\n"
                             "Sec-WebSocket-Protocol: three\r\n"
                             "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                             "Authorization: Bearer t\r\n"
                             "X-Forwarded-For: 192.0.2.1\r\n"
                             "Forwarded: for=192.0.2.1\r\n"
                             "Cookie: a=b\r\n"
                             "Cookie: c=d\r\n"
                             "Empty:\r\n"
                             "\r\nframes";
  gsize len = strlen (text);
  ChoirHttpHead head;

  g_assert_cmpint (choir_http_head_parse (text, len, &head), ==, CHOIR_HTTP_HEAD_COMPLETE);
  assert_slice (head.path, "/ws/a%20b");
  assert_slice (head.query, "token=x.y-z_&batch=1");
  assert_slice (head.host, "example.com:8800");
  assert_slice (head.user_agent, "Test/1.0 (x; y)");
  assert_slice (head.origin, "https://a.com");
  assert_slice (head.key, KEY);
  g_assert_cmpuint (head.n_protocols, ==, 2);
  assert_slice (head.protocols[0], "one, two");
  assert_slice (head.protocols[1], "three");
  g_assert_cmpuint (head.n_extensions, ==, 1);
  assert_slice (head.extensions[0], "permessage-deflate");
  assert_slice (head.authorization, "Bearer t");
  assert_slice (head.x_forwarded_for, "192.0.2.1");
  assert_slice (head.forwarded, "for=192.0.2.1");
  g_assert_cmpuint (head.head_len, ==, len - strlen ("frames"));
}

static void
test_least (void)
{
  static const char text[] = WITH ("");
  ChoirHttpHead head;

  g_assert_cmpint (choir_http_head_parse (text, strlen (text), &head), ==,
                   CHOIR_HTTP_HEAD_COMPLETE);
  g_assert_cmpuint (head.head_len, ==, strlen (text));
  g_assert_null (head.query.data);
  g_assert_null (head.origin.data);
  g_assert_null (head.authorization.data);
  g_assert_cmpuint (head.n_protocols + head.n_extensions, ==, 0);
}

static void
test_cut (void)
{
  static const char text[] = WITH ("Origin: https://a.com\r\n");
  ChoirHttpHead head;

  for (gsize cut = 0; cut < strlen (text); cut++)
    g_assert_cmpint (parse (text, cut, &head), ==, CHOIR_HTTP_HEAD_PARTIAL);
  g_assert_cmpint (parse (text, strlen (text), &head), ==, CHOIR_HTTP_HEAD_COMPLETE);
}

static void
test_good (void)
{
  static const char *const good[] = {
    TARGET ("/"),
    TARGET ("/?"),
    TARGET ("/a/"),
    TARGET ("/a.b/..c/...?q=/../?&x=%2F"),
    TARGET ("/-._~!$&'()*+,;=:@?-._~!$&'()*+,;=:@/?"),
    WITH ("Connection: keep-alive\r\n"),
    WITH ("X-Odd-But-Fine: \"a, b\"; c=<d>\r\n"),
    WITH ("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n"
          "Sec-WebSocket-Protocol: c\r\nSec-WebSocket-Protocol: d\r\n"),
    LINE "Host:a.com\r\nUpgrade:websocket\r\nConnection:,upgrade,\r\n" VERSION KEY_LINE "\r\n",
    LINE "Host: [::1]:8800\r\n" UPGRADE CONNECTION VERSION KEY_LINE "\r\n",
  };
  ChoirHttpHead head;

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_test_message ("row %u", i);
      g_assert_cmpint (parse (good[i], strlen (good[i]), &head), ==, CHOIR_HTTP_HEAD_COMPLETE);
    }
}

static void
test_odd (void)
{
  static const char *const odd[] = {
    /* the request line */
    "POST /ws HTTP/1.1\r\n" REST "\r\n",
    "get /ws HTTP/1.1\r\n" REST "\r\n",
    "GET  /ws HTTP/1.1\r\n" REST "\r\n",
    "GET\t/ws HTTP/1.1\r\n" REST "\r\n",
    "GET /ws  HTTP/1.1\r\n" REST "\r\n",
    "GET /ws HTTP/1.1 \r\n" REST "\r\n",
    "GET /ws HTTP/1.0\r\n" REST "\r\n",
    "GET /ws HTTP/2\r\n" REST "\r\n",
    "GET /ws http/1.1\r\n" REST "\r\n",
    "GET /ws\r\n" REST "\r\n",
    "GET / HTTP/1.1 HTTP/1.1\r\n" REST "\r\n",
    " GET /ws HTTP/1.1\r\n" REST "\r\n",
    "\r\nGET /ws HTTP/1.1\r\n" REST "\r\n",
    "\x16\x03\x01",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    TARGET ("*"),
    TARGET ("ws"),
    TARGET ("http://a.com/ws"),
    TARGET ("//evil.net/ws"),
    TARGET ("/a//b"),
    TARGET ("/a/./b"),
    TARGET ("/a/../b"),
    TARGET ("/.."),
    TARGET ("/ws#x"),
    TARGET ("/ws\\x"),
    TARGET ("/ws%"),
    TARGET ("/ws%4"),
    TARGET ("/ws%zz"),
    TARGET ("/ws%00"),
    TARGET ("/ws?a=%00"),
    TARGET ("/ws\x7f"),
    TARGET ("/\xc3\xa9"),
    TARGET ("/ws?a=<b>"),
    TARGET ("/ws\rx"),
    /* a body, or another meaning of the connection */
    WITH ("Content-Length: 0\r\n"),
    WITH ("Content-Length: 5\r\n") "hello",
    WITH ("content-length:5\r\n"),
    WITH ("Transfer-Encoding: chunked\r\n"),
    WITH ("Transfer-Encoding: identity\r\n"),
    WITH ("TE: trailers\r\n"),
    WITH ("Expect: 100-continue\r\n"),
    WITH ("Connection: close\r\n"),
    WITH ("Connection: Upgrade, close\r\n"),
    WITH ("Connection: up grade\r\n"),
    WITH ("HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"),
    /* lines */
    WITH ("Content-Length : 5\r\n"),
    WITH (" Content-Length: 5\r\n"),
    WITH ("X: a\r\n folded\r\n"),
    WITH ("X: a\r\n\tfolded\r\n"),
    WITH ("X\r\n"),
    WITH (": x\r\n"),
    WITH ("X Y: z\r\n"),
    WITH ("X(: z\r\n"),
    WITH ("X: a\rb\r\n"),
    WITH ("X: a\r\r\n"),
    WITH ("X: a\nTransfer-Encoding: chunked\r\n"),
    WITH ("X: \x01\r\n"),
    WITH ("X: \x7f\r\n"),
    WITH ("X: \xff\r\n"),
    "GET /ws HTTP/1.1\n\n",
    "GET /ws HTTP/1.1\nHost: a.com\n",
    /* twice */
    WITH (HOST),
    WITH ("HOST: b.com\r\n"),
    WITH (UPGRADE),
    WITH (VERSION),
    WITH (KEY_LINE),
    WITH ("Origin: https://a.com\r\nOrigin: https://b.com\r\n"),
    WITH ("Origin: https://a.com\r\norigin:\r\n"),
    WITH ("Origin:\r\nOrigin: https://b.com\r\n"),
    WITH ("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
    WITH ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n"),
    WITH ("Forwarded: for=192.0.2.1\r\nForwarded: for=192.0.2.2\r\n"),
    WITH ("Sec-WebSocket-Protocol:\r\n"),
    WITH ("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n"
          "Sec-WebSocket-Protocol: c\r\nSec-WebSocket-Protocol: d\r\n"
          "Sec-WebSocket-Protocol: e\r\n"),
    /* missing or wrong */
    LINE "\r\n",
    LINE UPGRADE CONNECTION VERSION KEY_LINE "\r\n",
    LINE HOST CONNECTION VERSION KEY_LINE "\r\n",
    LINE HOST UPGRADE VERSION KEY_LINE "\r\n",
    LINE HOST UPGRADE CONNECTION KEY_LINE "\r\n",
    LINE HOST UPGRADE CONNECTION VERSION "\r\n",
    LINE "Host:\r\n" UPGRADE CONNECTION VERSION KEY_LINE "\r\n",
    LINE "Host: a.com, b.com\r\n" UPGRADE CONNECTION VERSION KEY_LINE "\r\n",
    LINE "Host: user@a.com\r\n" UPGRADE CONNECTION VERSION KEY_LINE "\r\n",
    LINE "Host: a.com/x\r\n" UPGRADE CONNECTION VERSION KEY_LINE "\r\n",
    LINE HOST "Upgrade: h2c\r\n" CONNECTION VERSION KEY_LINE "\r\n",
    LINE HOST "Upgrade: websocket, h2c\r\n" CONNECTION VERSION KEY_LINE "\r\n",
    LINE HOST UPGRADE "Connection: keep-alive\r\n" VERSION KEY_LINE "\r\n",
    LINE HOST UPGRADE "Connection: xupgrade\r\n" VERSION KEY_LINE "\r\n",
    LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Version: 8\r\n" KEY_LINE "\r\n",
    LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Version: 013\r\n" KEY_LINE "\r\n",
    LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Version: 13, 8\r\n" KEY_LINE "\r\n",
#define WITH_KEY(key) LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: " key "\r\n\r\n"
    WITH_KEY (""),
    WITH_KEY ("dGhlIHNhbXBsZSBub25jZQ="),
    WITH_KEY ("dGhlIHNhbXBsZSBub25jZQ==="),
    WITH_KEY ("dGhlIHNhbXBsZSBub25jZR=="),
    WITH_KEY ("dGhlIHNhbXBsZSBub25jZQA="),
    WITH_KEY ("dGhlIHNhbXBsZSBub25jZQAA"),
    WITH_KEY ("dGhlIHNhbXBsZS-ub25jZQ=="),
    WITH_KEY ("dGhlIHNhbX BsZSBub25jZ=="),
    WITH_KEY ("=====================Q=="),
  };
  ChoirHttpHead head;

  for (guint i = 0; i < G_N_ELEMENTS (odd); i++)
    {
      g_autofree char *printable = g_strescape (odd[i], NULL);

      g_test_message ("%s", printable);
      g_assert_cmpint (parse (odd[i], strlen (odd[i]), &head), ==, CHOIR_HTTP_HEAD_ODD);
    }
}

/* A NUL anywhere before the last line feed of the fields, which no C string above can hold */
static void
test_nul (void)
{
  static const char text[] = WITH ("Origin: https://a.com\r\n");
  gsize len = strlen (text);
  ChoirHttpHead head;

  for (gsize i = 0; i < len - 3; i++)
    {
      g_autofree char *copy = g_memdup2 (text, len);

      copy[i] = '\0';
      g_assert_cmpint (choir_http_head_parse (copy, len, &head), ==, CHOIR_HTTP_HEAD_ODD);
    }
}

static char *
make_head (guint n_lines, gsize value_len)
{
  g_autofree char *value = g_strnfill (value_len, 'x');
  GString *text = g_string_new (LINE REST);

  for (guint i = 0; i < n_lines; i++)
    g_string_append_printf (text, "X-%u: %s\r\n", i, value);
  g_string_append (text, "\r\n");
  return g_string_free (text, FALSE);
}

static void
test_bounds (void)
{
  g_autofree char *base = make_head (1, 0);
  gsize room = CHOIR_HTTP_HEAD_MAX - strlen (base);
  g_autofree char *most_lines = make_head (64 - 5, 1);
  g_autofree char *too_many_lines = make_head (64 - 5 + 1, 1);
  g_autofree char *largest = make_head (1, room);
  g_autofree char *too_large = make_head (1, room + 1);
  g_autofree char *endless = make_head (1, 2 * CHOIR_HTTP_HEAD_MAX);
  ChoirHttpHead head;

  g_assert_cmpint (parse (most_lines, strlen (most_lines), &head), ==, CHOIR_HTTP_HEAD_COMPLETE);
  g_assert_cmpint (parse (too_many_lines, strlen (too_many_lines), &head), ==, CHOIR_HTTP_HEAD_ODD);
  g_assert_cmpint (parse (largest, strlen (largest), &head), ==, CHOIR_HTTP_HEAD_COMPLETE);
  g_assert_cmpint (parse (too_large, strlen (too_large), &head), ==, CHOIR_HTTP_HEAD_ODD);
  g_assert_cmpint (parse (endless, CHOIR_HTTP_HEAD_MAX - 1, &head), ==, CHOIR_HTTP_HEAD_PARTIAL);
  g_assert_cmpint (parse (endless, CHOIR_HTTP_HEAD_MAX, &head), ==, CHOIR_HTTP_HEAD_ODD);
}

/* The example of RFC 6455 1.3 */
static void
test_accept_key (void)
{
  char out[CHOIR_ACCEPT_KEY_SIZE];

  choir_accept_key_make (KEY "more", strlen (KEY), out);
  g_assert_cmpstr (out, ==, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/http-head/complete", test_complete);
  g_test_add_func ("/http-head/least", test_least);
  g_test_add_func ("/http-head/cut", test_cut);
  g_test_add_func ("/http-head/good", test_good);
  g_test_add_func ("/http-head/odd", test_odd);
  g_test_add_func ("/http-head/nul", test_nul);
  g_test_add_func ("/http-head/bounds", test_bounds);
  g_test_add_func ("/http-head/accept-key", test_accept_key);
  return g_test_run ();
}
