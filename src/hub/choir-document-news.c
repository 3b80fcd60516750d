/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-room-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-hub-private.h"
#include "choir-payload.h"
#include "choir-session.h"
#include "choir-volley.h"

/*
 * What the members of a document are told of each other. News are kept with the member they are
 * about, so that only the newest exists; at the end of the loop's turn those that are due leave
 * together, in one block for everybody.
 */

/* Members whose cursor is shown, and whose activity is told, at once; the others' turn comes next
 */
#define SHOWN_MAX 256

/* What showing a cursor to one costs at most. Cursors are given no more than a quarter of the time:
 * where everybody moves and everybody looks on, each is shown less often */
#define COST_NS 200
#define PAUSE_MIN_US (5 * 1000)
#define PAUSE_MAX_US (1000 * 1000)

/* One message of a report */
typedef struct
{
  const char *type;
  ChoirDocumentMember *member; /* (nullable): all whose activity has changed */
} Item;

/* What is told at once */
typedef struct
{
  ChoirDocumentRoom *room;
  GArray *items;                        /* (element-type Item) */
  GPtrArray *changed;                   /* (element-type ChoirDocumentMember) */
  const ChoirDocumentMember *recipient; /* (nullable) */
} Report;

/* Whoever leaves */
void
choir_document_room_forget_news (ChoirDocumentRoom *self, ChoirDocumentMember *member)
{
  if (!(member->flags & CHOIR_MEMBER_NEWS))
    return;

  g_ptr_array_remove_index (self->news, member->news_index);
  for (guint i = member->news_index; i < self->news->len; i++)
    ((ChoirDocumentMember *) g_ptr_array_index (self->news, i))->news_index = i;

  member->flags &= ~CHOIR_MEMBER_NEWS;
}

static gint64
get_gap_us (ChoirDocumentRoom *self)
{
  const ChoirRateRule *rule = choir_hub_get_settings (self->hub)->class_rates[CHOIR_RATE_CURSOR];

  if (rule == NULL)
    return 0;

  return choir_rate_rule_get_longest_us (rule) / MAX (choir_rate_rule_get_max_in_longest (rule), 1);
}

static gint64
get_due_us (const ChoirDocumentMember *member, gint64 gap_us)
{
  if (member->flags & CHOIR_MEMBER_ACTIVITY_NEWS)
    return 0;

  /* whoever has changes on the way is shown when they are there */
  if (member->n_ahead > 0)
    return G_MAXINT64;

  return member->shown_us == 0 ? 0 : member->shown_us + gap_us;
}

static void
report_place (Report *report, ChoirDocumentMember *member, gint64 now_us)
{
  static const struct
  {
    ChoirMemberFlags flag;
    const char *type;
  } rows[] = {
    { CHOIR_MEMBER_CURSOR_NEWS, "cursor.position" },
    { CHOIR_MEMBER_SELECTION_NEWS, "selection.change" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    if (member->flags & rows[i].flag)
      {
        Item item = { rows[i].type, member };

        g_array_append_val (report->items, item);
      }

  member->flags &= ~CHOIR_MEMBER_PLACE_NEWS;
  member->flags |= CHOIR_MEMBER_SENDER;
  member->shown_us = now_us;
}

/* Takes what is due out of the news. Returns when the rest is, monotonic */
static gint64
collect (ChoirDocumentRoom *self, Report *report, gint64 now_us)
{
  gint64 gap_us = get_gap_us (self);
  gint64 next_us = G_MAXINT64;
  guint n_left = 0;
  guint n_taken = 0;

  for (guint i = 0; i < self->news->len; i++)
    {
      ChoirDocumentMember *member = g_ptr_array_index (self->news, i);
      gboolean taken = n_taken < SHOWN_MAX && get_due_us (member, gap_us) <= now_us;

      if (taken && (member->flags & CHOIR_MEMBER_ACTIVITY_NEWS))
        {
          member->flags &= ~CHOIR_MEMBER_ACTIVITY_NEWS;
          g_ptr_array_add (report->changed, member);
        }
      if (taken && (member->flags & CHOIR_MEMBER_PLACE_NEWS) &&
          get_due_us (member, gap_us) <= now_us)
        report_place (report, member, now_us);

      n_taken += taken;
      if (!(member->flags & CHOIR_MEMBER_NEWS))
        continue;

      next_us = MIN (next_us, get_due_us (member, gap_us));
      member->news_index = n_left;
      self->news->pdata[n_left++] = member;
    }

  g_ptr_array_set_size (self->news, (gint) n_left);

  return next_us;
}

static void
append_changed (Report *report, GString *payload)
{
  choir_payload_add_string (payload, "event", "state");
  choir_payload_add_string (payload, "document_id", choir_document_get_id (report->room->document));
  choir_payload_add_int (payload, "count", report->room->channel->n_subscribers);
  choir_payload_add_key (payload, "members");
  g_string_append_c (payload, '[');
  for (guint i = 0; i < report->changed->len; i++)
    {
      if (i > 0)
        g_string_append_c (payload, ',');
      choir_payload_open (payload);
      choir_document_member_append (g_ptr_array_index (report->changed, i), report->room->document,
                                    payload);
      choir_payload_close (payload);
    }
  g_string_append_c (payload, ']');
}

static void
append_place (Report *report, const ChoirDocumentMember *member, GString *payload)
{
  ChoirDocument *document = report->room->document;
  ChoirSession *session = member->subscription.session;

  choir_payload_add_string (payload, "document_id", choir_document_get_id (document));
  choir_payload_add_string (payload, "user_id", choir_session_get_user_id (session));
  choir_payload_add_string (payload, "session_id", choir_session_get_id (session));
  choir_document_member_append_place (member, document, payload);
  choir_payload_add_int (payload, "version", (gint64) choir_document_get_version (document));
}

/* What item @i says; @payload: where its payload is written */
static ChoirMessage
make_item (Report *report, guint i, GString *payload)
{
  const Item *item = &g_array_index (report->items, Item, i);
  ChoirMessage message = {
    .type = item->type,
    .wall_us = choir_clock_wall_us (),
    .channel = report->room->channel->name,
  };

  choir_payload_open (payload);
  if (item->member == NULL)
    append_changed (report, payload);
  else
    {
      ChoirSession *session = item->member->subscription.session;

      message.user_id = choir_session_get_user_id (session);
      message.session_id = choir_session_get_id (session);
      append_place (report, item->member, payload);
    }
  choir_payload_close (payload);
  message.payload = choir_payload_as_slice (payload);

  return message;
}

static ChoirFrame *
encode_item (const ChoirDialect *dialect, guint i, gpointer user_data)
{
  g_autoptr (GString) payload = g_string_sized_new (256);
  ChoirMessage message = make_item (user_data, i, payload);

  return choir_envelope_encode (dialect, &message);
}

static void
tell_observers (ChoirDocumentRoom *self, Report *report)
{
  for (guint i = 0; i < report->items->len; i++)
    {
      g_autoptr (GString) payload = g_string_sized_new (256);
      ChoirMessage message = make_item (report, i, payload);

      choir_hub_report_published (self->hub, &message, NULL, self->channel->n_subscribers);
    }
}

/* Nobody is told where his own cursor is */
static gboolean
leave_out_own (guint i, ChoirFrame **out, gpointer user_data)
{
  const Report *report = user_data;

  return g_array_index (report->items, Item, i).member == report->recipient;
}

static void
send_report (ChoirDocumentRoom *self, Report *report)
{
  ChoirStats *stats = choir_hub_get_stats (self->hub);
  ChoirChannel *channel = self->channel;
  ChoirVolley volley;

  choir_volley_begin (&volley, choir_hub_get_broadcaster (self->hub), report->items->len,
                      choir_hub_get_settings (self->hub)->batch_size, encode_item, report);

  for (guint i = 0; i < channel->n_subscribers; i++)
    {
      ChoirDocumentMember *member = (ChoirDocumentMember *) channel->subscribers[i];

      report->recipient = member;
      if (member->flags & CHOIR_MEMBER_SENDER)
        choir_volley_push_edited (&volley, member->subscription.outbox, leave_out_own, report);
      else
        choir_volley_push (&volley, member->subscription.outbox);

      member->flags &= ~CHOIR_MEMBER_SENDER;
    }

  *stats->deliveries += volley.n_sent;
  choir_volley_end (&volley);
  if (choir_hub_is_observed (self->hub))
    tell_observers (self, report);
}

static void
news_cb (ChoirTimer *timer)
{
  choir_document_room_show (CHOIR_CONTAINER_OF (timer, ChoirDocumentRoom, news_timer));
}

static void
arm_news (ChoirDocumentRoom *self, gint64 due_us, gint64 now_us)
{
  if (due_us < G_MAXINT64)
    choir_timer_wheel_arm (choir_hub_get_wheel (self->hub), &self->news_timer,
                           MAX (due_us - now_us, 0), news_cb);
}

/**
 * choir_document_room_show:
 * @self: a room
 *
 * Tells the members what there is to be told by now. Called when the turn of the loop is over.
 */
void
choir_document_room_show (ChoirDocumentRoom *self)
{
  g_autoptr (GArray) items = NULL;
  g_autoptr (GPtrArray) changed = NULL;
  Report report = { .room = self };
  gint64 now_us = choir_clock_monotonic_us ();
  Item all = { "user.presence", NULL };
  gint64 next_us, pause_us;

  if (now_us < self->pause_until_us)
    {
      arm_news (self, self->pause_until_us, now_us);
      return;
    }

  report.items = items = g_array_new (FALSE, FALSE, sizeof (Item));
  report.changed = changed = g_ptr_array_new ();
  next_us = collect (self, &report, now_us);
  if (changed->len > 0 && choir_document_room_tells_presence (self))
    g_array_prepend_val (items, all);

  if (items->len > 0)
    send_report (self, &report);

  pause_us = (gint64) items->len * self->channel->n_subscribers * COST_NS * 4 / 1000;
  self->pause_until_us = pause_us >= PAUSE_MIN_US ? now_us + MIN (pause_us, PAUSE_MAX_US) : now_us;
  arm_news (self, MAX (next_us, next_us < G_MAXINT64 ? self->pause_until_us : 0), now_us);
}

static void
turn_cb (ChoirTurnTask *task)
{
  choir_document_room_show (CHOIR_CONTAINER_OF (task, ChoirDocumentRoom, task));
}

/**
 * choir_document_room_tell:
 * @self: a room
 * @member: a member
 * @news: what is new about it; 0: what is new already can be told now
 *
 * The others are told at the end of this turn of the loop, or as soon as it may be.
 */
void
choir_document_room_tell (ChoirDocumentRoom *self,
                          ChoirDocumentMember *member,
                          ChoirMemberFlags news)
{
  if (news != 0 && !(member->flags & CHOIR_MEMBER_NEWS))
    {
      member->news_index = self->news->len;
      g_ptr_array_add (self->news, member);
    }

  member->flags |= news;
  if (member->flags & CHOIR_MEMBER_NEWS)
    choir_turn_ask (choir_hub_get_turn (self->hub), &self->task, turn_cb);
}
