// SPDX-License-Identifier: BSD-3-Clause

package node

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// readiness knows whether what the node publishes reaches the subscribers that
// there are. A subscription of the node's own to a topic that nobody else has
// travels through the broker back to the node's XPUB; when it is there, so are
// the subscriptions that the broker had before.
type readiness struct {
	n *Node

	mutex   sync.Mutex
	number  uint64
	current string        // the probe's topic while not ready
	ready   chan struct{} // closed when current came back
	waiting map[string]chan struct{}
	problem string // what the connections complain of, for people
	again   bool   // the node was ready before
}

func (r *readiness) init(n *Node) {
	r.n = n
	r.waiting = map[string]chan struct{}{}
	r.lost("")
}

// lost says that the connection is gone: what was known of subscriptions is not
// true any more. A probe that is under way is sent again by libzmq.
func (r *readiness) lost(problem string) {
	r.mutex.Lock()
	if problem != "" {
		r.problem = problem
	}
	if r.current != "" {
		r.mutex.Unlock()
		return
	}
	topic := r.topic()
	r.current, r.ready = topic, make(chan struct{})
	r.again = problem != ""
	err := r.n.push(cshim.Subscribe, topic, "", nil)
	r.mutex.Unlock()
	if problem != "" && err == nil { // else the node is being closed
		r.n.cfg.log.Warn(problem + ": trying again")
	}
}

// complain notes what stands in the way of a connection.
func (r *readiness) complain(problem string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.problem = problem
}

func (r *readiness) topic() string {
	r.number++
	return fmt.Sprintf("%s%s.%d.", probePrefix, r.n.id, r.number)
}

// seen is told of each subscription on the XPUB.
func (r *readiness) seen(topic string) {
	again := false
	r.mutex.Lock()
	switch ch := r.waiting[topic]; {
	case ch != nil:
		close(ch)
		delete(r.waiting, topic)
	case topic == r.current && topic != "": // the empty topic is all that there are
		close(r.ready)
		r.current, r.problem = "", ""
		again = r.again
	default:
		r.mutex.Unlock()
		return
	}
	r.n.push(cshim.Unsubscribe, topic, "", nil)
	r.mutex.Unlock()
	if again {
		r.n.cfg.log.Warn("connected to the broker again")
	}
}

// await waits until the node is ready.
func (r *readiness) await(ctx context.Context) error {
	r.mutex.Lock()
	ready := r.ready
	r.mutex.Unlock()
	return r.wait(ctx, ready)
}

// probe waits for a probe of the caller's own: all that was queued before it has
// then reached the broker.
func (r *readiness) probe(ctx context.Context) error {
	r.mutex.Lock()
	topic, ch := r.topic(), make(chan struct{})
	r.waiting[topic] = ch
	r.mutex.Unlock()

	if err := r.n.push(cshim.Subscribe, topic, "", nil); err != nil {
		return err
	}
	err := r.wait(ctx, ch)

	r.mutex.Lock()
	_, mine := r.waiting[topic]
	delete(r.waiting, topic)
	r.mutex.Unlock()
	if mine {
		r.n.push(cshim.Unsubscribe, topic, "", nil)
	}
	return err
}

func (r *readiness) wait(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	default:
	}
	select {
	case <-ready:
		return nil
	case <-r.n.done:
		return r.n.ended()
	case <-ctx.Done():
	}
	o := &r.n.cfg.opts
	r.mutex.Lock()
	problem := r.problem
	r.mutex.Unlock()
	if problem == "" {
		problem = "no answer"
	}
	return &notReadyError{fmt.Sprintf("%v: %s (connect_xsub_endpoint %q, connect_xpub_endpoint %q)", ErrNotReady, problem,
		o.ConnectXSubEndpoint, o.ConnectXPubEndpoint), ctx.Err()}
}

// notReadyError is an ErrNotReady with its reason, and the context's error, which
// is no news to people.
type notReadyError struct {
	text  string
	cause error
}

func (e *notReadyError) Error() string   { return e.text }
func (e *notReadyError) Unwrap() []error { return []error{ErrNotReady, e.cause} }

// monitor is told what happens to the node's connections. The pump's.
func (n *Node) monitor(number, value uint32, endpoint string) {
	if slices.Contains(n.cfg.opts.ConnectLogEndpoints, endpoint) {
		return // Publish does not depend on loggers
	}
	switch number {
	case cshim.EventDisconnected:
		n.ready.lost("the connection to " + endpoint + " was lost")
	case cshim.EventConnectRetried:
		n.ready.complain("nobody listens at " + endpoint)
	case cshim.EventConnected:
		n.ready.complain("no answer from " + endpoint)
	case cshim.EventHandshakeFailedNoDetail:
		n.ready.complain("the handshake with " + endpoint + " failed: is it a broker, and are the keys right?")
	case cshim.EventHandshakeFailedProtocol:
		n.handshakeFailed(endpoint, "it speaks another protocol, or only one side is encrypted")
	case cshim.EventHandshakeFailedAuth:
		n.handshakeFailed(endpoint, "the client's public key is not allowed there")
	}
}

func (n *Node) handshakeFailed(endpoint, why string) {
	text := "the handshake with " + endpoint + " failed: " + why
	if n.ready.complain(text); n.lastHandshake != text {
		n.lastHandshake = text // once, as it is tried again and again
		n.cfg.log.Error(text)
	}
}
