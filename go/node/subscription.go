// SPDX-License-Identifier: BSD-3-Clause

package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// DefaultQueue is how many messages a subscription holds for its consumer.
const DefaultQueue = 8192

// episodeQuiet is how long nothing must be lost until a slow consumer is one no
// more.
const episodeQuiet = 5 * time.Second

// A Message is an event that arrived. The engine has checked its structure.
type Message struct {
	Topic    string
	Format   event.Format
	Received time.Time
	Payload  []byte // of all subscriptions that match: do not change it
}

// Event decodes the message. The error is one of [event.Decode]'s.
func (m Message) Event() (*event.Event, error) { return m.Format.Decode(m.Payload) }

// A Subscription receives what is published on topics that start with its
// prefix.
type Subscription struct {
	n      *Node
	prefix string
	queue  chan Message // closed when the subscription ends
	once   sync.Once

	dropped atomic.Uint64
	// Of the current episode of losses; the pump's.
	lost     uint64
	lastLost time.Time
}

// Subscribe subscribes to the topics that start with a prefix; the empty one is
// that of all topics. Zeek's own convention is to end prefixes in a dot. It does
// not wait: a message published before [Subscription.Ready] may be missed.
//
// queue is how many messages are held for a consumer; 0 stands for
// [DefaultQueue]. What has no room there is dropped: it is counted
// ([Subscription.Dropped]), and told to the [Logger] once an episode.
//
// Prefixes that start with "zeek.cluster.nodeid." are other nodes' own: nodes
// would greet the subscriber as one of them. They give [ErrTopic].
func (n *Node) Subscribe(prefix string, queue int) (*Subscription, error) {
	if strings.HasPrefix(prefix, nodeIDTopicPrefix) && prefix != NodeIDTopic(n.id) {
		return nil, fmt.Errorf("%w: %q: the cluster's nodes would take the subscriber for one of them", ErrTopic, prefix)
	}
	if strings.HasPrefix(prefix, nodeIDTopicPrefix) && n.members == nil {
		return nil, fmt.Errorf("%w: %q: only a member of the cluster has this topic", ErrTopic, prefix)
	}
	if queue < 0 {
		return nil, fmt.Errorf("node: a queue of %d messages", queue)
	}
	if queue == 0 {
		queue = DefaultQueue
	}
	s := &Subscription{n: n, prefix: prefix, queue: make(chan Message, queue)}

	n.subsMutex.Lock()
	if n.subs == nil {
		n.subsMutex.Unlock()
		return nil, n.closedError()
	}
	n.subs[s] = struct{}{}
	n.subsMutex.Unlock()

	if err := n.wireSubscribe(prefix, +1); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func (n *Node) closedError() error {
	select {
	case <-n.done:
		return n.ended()
	default:
		return ErrClosed
	}
}

// wireSubscribe counts the subscriptions to a prefix, and subscribes with the
// first and unsubscribes with the last.
func (n *Node) wireSubscribe(prefix string, by int) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.closed {
		return ErrClosed
	}
	was := n.wire[prefix]
	now := was + by
	n.wire[prefix] = now
	switch {
	case n.members != nil && prefix == NodeIDTopic(n.id): // from the start to the end
		return nil
	case was == 0 && now == 1:
		return n.ch.Push(cshim.Subscribe, prefix, "", nil)
	case now == 0:
		delete(n.wire, prefix)
		return n.ch.Push(cshim.Unsubscribe, prefix, "", nil)
	}
	return nil
}

// Ready waits until the broker has the subscription. The error is as
// [Node.Ready]'s.
func (s *Subscription) Ready(ctx context.Context) error { return s.n.ready.probe(ctx) }

// C returns the channel of the messages, which is closed when the subscription
// ends: by Close, or with the node. What it holds then can still be received.
func (s *Subscription) C() <-chan Message { return s.queue }

// Next returns the next message. The error is that of the context, or
// [ErrClosed] once the subscription has ended and all messages were returned.
func (s *Subscription) Next(ctx context.Context) (Message, error) {
	select {
	case m, ok := <-s.queue:
		if !ok {
			return m, s.n.closedError()
		}
		return m, nil
	default:
	}
	select {
	case m, ok := <-s.queue:
		if !ok {
			return m, s.n.closedError()
		}
		return m, nil
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

// Dropped is how many messages were dropped because the queue was full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Prefix is the prefix subscribed to.
func (s *Subscription) Prefix() string { return s.prefix }

// Close ends the subscription.
func (s *Subscription) Close() error {
	if s.end() {
		s.n.wireSubscribe(s.prefix, -1)
	}
	return nil
}

// end takes the subscription from its node, and says whether that was not done
// before.
func (s *Subscription) end() (first bool) {
	s.once.Do(func() {
		first = true
		s.n.subsMutex.Lock()
		delete(s.n.subs, s)
		s.n.subsMutex.Unlock()
		// No deliver() runs with s now, and none will.
		s.endEpisode()
		close(s.queue)
	})
	return first
}

// deliver gives a message to the subscriptions that match. The pump's.
func (n *Node) deliver(rec *cshim.Record, now time.Time) {
	f, err := event.ParseFormat(rec.Format())
	if err != nil {
		return // the engine has refused it
	}
	var m Message
	topic := rec.Topic()

	n.subsMutex.RLock()
	defer n.subsMutex.RUnlock()
	for s := range n.subs {
		if len(topic) < len(s.prefix) || string(topic[:len(s.prefix)]) != s.prefix {
			continue
		}
		if m.Payload == nil {
			m = Message{string(topic), f, now, append([]byte(nil), rec.Payload()...)}
		}
		s.offer(m)
	}
}

func (s *Subscription) offer(m Message) {
	select {
	case s.queue <- m:
		if s.lost > 0 && m.Received.Sub(s.lastLost) > episodeQuiet {
			s.endEpisode()
		}
	default:
		if s.lost == 0 {
			s.n.cfg.log.Warn("a subscription's consumer is too slow: dropped a message", "topic", s.prefix, "queue", cap(s.queue))
		}
		s.lost++
		s.lastLost = m.Received
		s.dropped.Add(1)
		s.n.slow.Add(1)
	}
}

func (s *Subscription) endEpisode() {
	if s.lost > 0 {
		s.n.cfg.log.Warn("messages were dropped, as a subscription's consumer was too slow", "topic", s.prefix, "dropped", s.lost)
		s.lost = 0
	}
}
