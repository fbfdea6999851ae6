// SPDX-License-Identifier: BSD-3-Clause

package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// pump takes what the engine puts into the inbox. One goroutine runs it from
// start to Close; it never waits for a consumer.
func (n *Node) pump() {
	defer close(n.pumpDone)
	defer close(n.done)
	defer func() {
		if v := recover(); v != nil {
			n.failure = fmt.Errorf("node: panic: %v\n%s", v, debug.Stack())
		}
		n.endSubscriptions()
	}()

	word := make([]byte, 8)
	for closing := false; ; {
		n.drain()
		if n.failure != nil || closing {
			return
		}
		next := n.members.expire(time.Now())
		if !n.ch.Sleep() {
			continue
		}
		// Close wakes the pump by a deadline that has passed: not to be replaced.
		n.mutex.Lock()
		if !n.stopped {
			n.wake.SetReadDeadline(next)
		}
		n.mutex.Unlock()
		if _, err := n.wake.Read(word); err != nil {
			n.mutex.Lock()
			closing = n.stopped
			n.mutex.Unlock()
		}
	}
}

// drain takes everything that is in the inbox.
func (n *Node) drain() {
	now := time.Now()
	for rec := n.ch.Next(nil); rec != nil; rec = n.ch.Next(rec) {
		switch rec.Kind {
		case cshim.Event:
			if !n.members.handle(rec) {
				n.deliver(rec, now)
			}
		case cshim.Subscription:
			topic := string(rec.Topic())
			n.ready.seen(topic)
			n.members.subscribed(topic)
			if n.cfg.subscription != nil {
				n.cfg.subscription(topic, true)
			}
		case cshim.Unsubscription:
			topic := string(rec.Topic())
			n.members.unsubscribed(topic)
			if n.cfg.subscription != nil {
				n.cfg.subscription(topic, false)
			}
		case cshim.Monitor:
			if p := rec.Payload(); len(p) == 8 {
				n.monitor(binary.NativeEndian.Uint32(p), binary.NativeEndian.Uint32(p[4:]), string(rec.Topic()))
			}
		case cshim.Warning:
			n.cfg.log.Warn(string(rec.Payload()))
		case cshim.Error:
			n.cfg.log.Error(string(rec.Payload()))
		case cshim.Fatal:
			n.failure = errors.New(string(rec.Payload()))
		}
	}
}

// endSubscriptions ends all subscriptions, and has there be no more.
func (n *Node) endSubscriptions() {
	n.subsMutex.Lock()
	subs := n.subs
	n.subs = nil
	n.subsMutex.Unlock()
	for s := range subs {
		s.end()
	}
}
