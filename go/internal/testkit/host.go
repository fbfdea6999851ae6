// SPDX-License-Identifier: BSD-3-Clause

package testkit

/*
// The queues themselves are in package cshim, which every test binary holds.
#cgo LDFLAGS: -Wl,--unresolved-symbols=ignore-all
#cgo CFLAGS: -std=gnu11
#include <stdlib.h>
#include "../cshim/zeekzmq.h"

static zz_channel* host_new(uint32_t flags) {
	zz_counters* counters = calloc(1, sizeof(*counters));
	zz_channel* ch = zz_channel_new(counters);
	if ( ch )
		ch->flags = flags;
	else
		free(counters);
	return ch;
}
static void host_free(zz_channel* ch) {
	zz_counters* counters = ch->counters;
	zz_channel_free(ch);
	free(counters);
}
static bool host_push(zz_channel* ch, bool log, uint16_t kind, const void* topic, size_t topic_len,
                      const void* format, size_t format_len, const void* payload, size_t payload_len) {
	if ( ! zz_queue_push(log ? &ch->logs_out : &ch->events_out, kind, topic, topic_len, format, format_len, payload, payload_len) )
		return false;
	zz_waker_wake(&ch->engine_waker);
	return true;
}
static zz_record* host_peek(zz_channel* ch) { return zz_queue_peek(&ch->inbox); }
static void host_consume(zz_channel* ch, zz_record* r) { zz_queue_consume(&ch->inbox, r); }
static uint64_t host_waiting(zz_channel* ch) {
	return zz_queue_depth(&ch->events_out, ZZ_CLASS_EVENT) + zz_queue_depth(&ch->events_out, ZZ_CLASS_CONTROL) +
	       zz_queue_depth(&ch->logs_out, ZZ_CLASS_LOG);
}
static uint64_t host_inbox_depth(zz_channel* ch, int cls) { return zz_queue_depth(&ch->inbox, cls); }
static bool host_sleep(zz_channel* ch) {
	zz_waker_prepare(&ch->host_waker);
	if ( zz_queue_peek(&ch->inbox) ) {
		zz_waker_cancel(&ch->host_waker);
		return false;
	}
	return true;
}
static int host_fd(zz_channel* ch) { return ch->host_waker.fd; }
static void host_clear(zz_channel* ch) { zz_waker_clear(&ch->host_waker); }
*/
import "C"

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// Host is the other side of a channel: what Zeek's main thread does, in Go. One
// goroutine may send while another receives.
type Host struct {
	*cshim.Channel
	c *C.zz_channel

	// Seen is every message taken from the inbox so far.
	Seen []Message
}

// Message is a record of the inbox, in Go memory.
type Message struct {
	Kind    cshim.Kind
	Topic   string
	Format  string
	Payload string
}

func (m Message) String() string {
	return fmt.Sprintf("{%d topic=%.40q format=%q payload(%d)=%.80q}", m.Kind, m.Topic, m.Format, len(m.Payload), m.Payload)
}

// Inbox classes, as in queue.h.
const (
	ClassEvent   = C.ZZ_CLASS_EVENT
	ClassLog     = C.ZZ_CLASS_LOG
	ClassControl = C.ZZ_CLASS_CONTROL
)

// NewHost makes a host with an empty channel, which is freed at the test's end:
// whatever engine runs on it must have been stopped by then.
func NewHost(tb testing.TB) *Host { return newHost(tb, 0) }

// NewHostWithoutLogs makes a host that has no part in logs.
func NewHostWithoutLogs(tb testing.TB) *Host { return newHost(tb, C.ZZ_NODE_NO_LOGS) }

func newHost(tb testing.TB, flags C.uint32_t) *Host {
	tb.Helper()
	c := C.host_new(flags)
	if c == nil {
		tb.Fatal("no memory for a channel")
	}
	h := &Host{Channel: cshim.ChannelAt(unsafe.Pointer(c)), c: c}
	tb.Cleanup(h.Release)
	return h
}

// Release frees the channel before the test ends.
func (h *Host) Release() {
	if h.c != nil {
		C.host_free(h.c)
		h.c = nil
	}
}

// Pointer is the channel as C knows it.
func (h *Host) Pointer() unsafe.Pointer { return unsafe.Pointer(h.c) }

func (h *Host) push(log bool, kind cshim.Kind, topic, format, payload string) {
	if !C.host_push(h.c, C.bool(log), C.uint16_t(kind), bytesOf(topic), C.size_t(len(topic)), bytesOf(format), C.size_t(len(format)),
		bytesOf(payload), C.size_t(len(payload))) {
		panic("zz_queue_push failed")
	}
}

func bytesOf(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

// Publish queues an event.
func (h *Host) Publish(topic, format, payload string) {
	h.push(false, cshim.Event, topic, format, payload)
}

// Subscribe queues a subscription.
func (h *Host) Subscribe(topic string) { h.push(false, cshim.Subscribe, topic, "", "") }

// Unsubscribe queues the end of a subscription.
func (h *Host) Unsubscribe(topic string) { h.push(false, cshim.Unsubscribe, topic, "", "") }

// WriteLog queues a log batch.
func (h *Host) WriteLog(format, payload string) { h.push(true, cshim.Log, "", format, payload) }

// Waiting is how many records the engine has not taken yet.
func (h *Host) Waiting() int { return int(C.host_waiting(h.c)) }

// InboxDepth is how many records of a class wait in the inbox.
func (h *Host) InboxDepth(class int) int { return int(C.host_inbox_depth(h.c, C.int(class))) }

// Drain takes what the inbox holds and returns it.
func (h *Host) Drain() []Message {
	from := len(h.Seen)
	for {
		r := C.host_peek(h.c)
		if r == nil {
			return h.Seen[from:]
		}
		rec := (*cshim.Record)(unsafe.Pointer(r))
		if rec.Kind != cshim.Skip {
			h.Seen = append(h.Seen, Message{rec.Kind, string(rec.Topic()), string(rec.Format()), string(rec.Payload())})
		}
		C.host_consume(h.c, r)
	}
}

// Of is everything seen so far of the given kinds, in order.
func (h *Host) Of(kinds ...cshim.Kind) []Message {
	h.Drain()
	var of []Message
	for _, m := range h.Seen {
		for _, k := range kinds {
			if m.Kind == k {
				of = append(of, m)
			}
		}
	}
	return of
}

// Await takes from the inbox until it has seen n messages of the given kinds,
// and returns these.
func (h *Host) Await(tb testing.TB, n int, kinds ...cshim.Kind) []Message {
	tb.Helper()
	Eventually(tb, fmt.Sprintf("%d messages of kinds %v", n, kinds), func() bool { return len(h.Of(kinds...)) >= n })
	return h.Of(kinds...)
}

// AwaitTopic takes from the inbox until it has seen a message of the kind and
// topic.
func (h *Host) AwaitTopic(tb testing.TB, kind cshim.Kind, topic string) {
	tb.Helper()
	Eventually(tb, fmt.Sprintf("a message of kind %d with topic %q", kind, topic), func() bool {
		for _, m := range h.Of(kind) {
			if m.Topic == topic {
				return true
			}
		}
		return false
	})
}

// Sleep says that the host will sleep on [Host.WakeFD]. It returns false if the
// inbox has something.
func (h *Host) Sleep() bool { return bool(C.host_sleep(h.c)) }

// WakeFD is the descriptor that wakes the host.
func (h *Host) WakeFD() int { return int(C.host_fd(h.c)) }

// ClearWake resets the descriptor.
func (h *Host) ClearWake() { C.host_clear(h.c) }
