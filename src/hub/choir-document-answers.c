/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"

/* What becomes of changes, collected while the document changes and said when it is done */

typedef struct
{
  ChoirPending *pending; /* (owned) */
  ChoirChangeStatus status;
  guint64 version;
  GError *error; /* (owned) (nullable) */
} Answer;

void
choir_answers_add (ChoirAnswers *self,
                   ChoirPending *pending,
                   ChoirChangeStatus status,
                   guint64 version,
                   GError *error)
{
  Answer answer = { pending, status, version, error };

  if (self->items == NULL)
    self->items = g_array_new (FALSE, FALSE, sizeof (Answer));

  g_array_append_val (self->items, answer);
}

static void
count_answer (ChoirDocument *self, const Answer *answer)
{
  ChoirStats *stats = choir_hub_get_stats (self->table->hub);

  switch (answer->status)
    {
    case CHOIR_CHANGE_COMMITTED:
      *stats->document_commits += 1;
      choir_histogram_record (stats->document_latency,
                              (choir_clock_monotonic_us () - answer->pending->arrived_us) /
                                (double) G_USEC_PER_SEC);
      break;

    case CHOIR_CHANGE_DUPLICATE:
      *stats->document_duplicates += 1;
      break;

    case CHOIR_CHANGE_CONFLICT:
      *stats->document_conflicts += 1;
      break;

    case CHOIR_CHANGE_REFUSED:
    default:
      *stats->document_refused += 1;
    }
}

/* Calls back, last of all: anything may happen in there */
void
choir_answers_give (ChoirAnswers *self, ChoirDocument *document)
{
  g_autoptr (GArray) items = g_steal_pointer (&self->items);

  for (guint i = 0; items != NULL && i < items->len; i++)
    {
      Answer *answer = &g_array_index (items, Answer, i);
      const ChoirChange *change = &answer->pending->change;
      ChoirChangeResult result = { answer->status, answer->version, answer->error };

      count_answer (document, answer);
      if (change->callback != NULL &&
          (answer->status != CHOIR_CHANGE_COMMITTED || change->session == NULL))
        change->callback (document, &result, change->user_data);

      choir_pending_free (answer->pending);
      g_clear_error (&answer->error);
    }
}

void
choir_answers_refuse (ChoirAnswers *self,
                      ChoirDocument *document,
                      ChoirPending *pending,
                      GError *error)
{
  ChoirChangeStatus status = g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT)
                               ? CHOIR_CHANGE_CONFLICT
                               : CHOIR_CHANGE_REFUSED;

  choir_answers_add (self, pending, status, document->version, error);
}

/* What a session sends behind a change that is refused stands on a text that will never be */
void
choir_answers_refuse_followers (ChoirAnswers *self, ChoirDocument *document, guint64 owner)
{
  GList *next;

  if (owner == 0)
    return;

  for (GList *link = document->queue.head; link != NULL; link = next)
    {
      ChoirPending *pending = link->data;

      next = link->next;
      if (pending->owner != owner)
        continue;

      g_queue_delete_link (&document->queue, link);
      document->queue_bytes -= pending->n_bytes;
      choir_answers_refuse (self, document, pending,
                            g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                                                 "A change before this one was refused"));
    }
}

GError *
choir_document_new_unavailable (void)
{
  return g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                              "Changes can't be stored at the moment");
}

void
choir_answers_refuse_all (ChoirAnswers *self,
                          ChoirDocument *document,
                          ChoirPending *pending,
                          GError *error)
{
  guint64 owner = pending->owner;

  choir_answers_refuse (self, document, pending, error);
  choir_answers_refuse_followers (self, document, owner);
}

void
choir_document_log_failure (ChoirDocument *self, const char *what, const GError *error)
{
  g_autofree char *text = g_strdup_printf ("%s: %s", what, error->message);

  choir_log (CHOIR_LOG_LEVEL_WARNING, text, CHOIR_LOG_CHANNEL, self->name, NULL);
}

/**
 * choir_document_refuse_queue:
 * @self: a document
 * @error: why
 *
 * Answers everything that waits.
 */
void
choir_document_refuse_queue (ChoirDocument *self, const GError *error)
{
  ChoirAnswers answers = { 0 };
  ChoirPending *pending;

  while ((pending = g_queue_pop_head (&self->queue)) != NULL)
    choir_answers_refuse (&answers, self, pending, g_error_copy (error));

  self->queue_bytes = 0;
  choir_answers_give (&answers, self);
}
