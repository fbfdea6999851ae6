// SPDX-License-Identifier: BSD-3-Clause

// Package node is a process in a Zeek cluster that is not Zeek: it publishes and
// subscribes to events over the cluster's ZeroMQ broker, either as a client that
// nobody notices ([Connect]), or as a member of the cluster that the others see
// come and go ([Join]).
//
// It runs on the same engine as the backend inside Zeek (package engine). A
// Node's engine always takes what its sockets have: a consumer that is too slow
// loses messages, which are counted and told, and never holds up the cluster.
//
// Lost connections are made anew; a Node need not be told. While the broker is
// away, Publish waits for it, up to its context's end and [ReadyTimeout].
package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

// The errors that calls match with [errors.Is].
var (
	// ErrClosed: the node or the subscription is closed.
	ErrClosed = errors.New("node: closed")
	// ErrNotReady: the broker could not be reached in time.
	ErrNotReady = errors.New("node: not connected to the broker")
	// ErrOverload: nothing was sent, as the queue to the broker or the loggers
	// was full for overload_block_limit, or until the context ended.
	ErrOverload = errors.New("node: the queue to be sent is full")
	// ErrTopic: the topic is one that this node must not subscribe or publish to.
	ErrTopic = errors.New("node: bad topic")
)

// Topics of Zeek's cluster framework. Subscribing to a prefix delivers all that
// starts with it; topics that end in a dot are meant to be used whole.
const (
	ManagerTopic = "zeek.cluster.manager"
	LoggerTopic  = "zeek.cluster.logger"
	ProxyTopic   = "zeek.cluster.proxy"
	WorkerTopic  = "zeek.cluster.worker"

	nodeTopicPrefix   = "zeek.cluster.node."
	nodeIDTopicPrefix = "zeek.cluster.nodeid."
	probePrefix       = "zeek.zeromq.internal."
)

// NodeTopic is the topic of the node with a name in the cluster's layout.
func NodeTopic(name string) string { return nodeTopicPrefix + name + "." }

// NodeIDTopic is the topic of one process, by its node id.
func NodeIDTopic(id string) string { return nodeIDTopicPrefix + id + "." }

const (
	// Bounds of what waits to be sent. Bytes of log batches and events, each.
	queueBytesMax = 64 << 20

	// How often Publish looks whether there is room again.
	roomPoll = time.Millisecond
)

// A Node is a running node. Its methods may be called from any goroutine.
type Node struct {
	name, id string
	cfg      config
	ch       *cshim.Channel
	engine   *engine.Engine
	wake     *os.File // a duplicate of the channel's, for the runtime's poller

	mutex   sync.Mutex     // the producer's side of ch, and what follows
	closed  bool           // nothing is queued any more
	stopped bool           // the engine has ended
	wire    map[string]int // subscribers by prefix: one subscription on the wire
	last    Stats          // once ch is gone

	subsMutex sync.RWMutex
	subs      map[*Subscription]struct{}

	slow    atomic.Uint64
	ready   readiness
	members *members // nil for a client

	closeOnce sync.Once
	closeErr  error
	done      chan struct{} // closed when nothing more will happen
	pumpDone  chan struct{}
	failure   error // set before done is closed

	lastHandshake string // the pump's
}

// Connect makes a client: it publishes and subscribes, and the nodes of the
// cluster do not notice it. With no options the broker is on this machine, at
// Zeek's default ports. It does not wait for the broker, see [Node.Ready].
//
// Errors name the option and the value at fault.
func Connect(opts ...Option) (*Node, error) { return start("", opts) }

// Join makes a member of the cluster: the other nodes raise node_up for it, and
// node_down when it is gone. name is an entry of the cluster's layout
// (Cluster::nodes in the other nodes) that no other process uses: nodes report
// an error for names that they do not know. Events for the member come on
// [NodeTopic] and [NodeIDTopic] and on the topics of its role, as far as it
// subscribes to them; its node id's topic it always does.
func Join(name string, opts ...Option) (*Node, error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' }) {
		return nil, fmt.Errorf("node: %q is no name of a node in a cluster's layout", name)
	}
	return start(name, opts)
}

func start(name string, opts []Option) (*Node, error) {
	n := &Node{
		name: name, cfg: newConfig(),
		wire: map[string]int{}, subs: map[*Subscription]struct{}{},
		done: make(chan struct{}), pumpDone: make(chan struct{}),
	}
	for _, o := range opts {
		if err := o(&n.cfg); err != nil {
			return nil, err
		}
	}
	o := &n.cfg.opts
	if o.NodeID == "" {
		o.NodeID = newID(name)
	}
	n.id = o.NodeID
	if name != "" {
		o.NodeName = name
		n.members = newMembers(n)
	}

	var err error
	if n.ch, err = cshim.NewChannel(); err != nil {
		return nil, fmt.Errorf("node: cannot make a channel: %w", err)
	}
	if len(o.ConnectLogEndpoints) == 0 {
		n.ch.DisableLogs()
	}
	fd, err := syscall.Dup(n.ch.WakeFD())
	if err != nil {
		n.ch.Free()
		return nil, fmt.Errorf("node: cannot duplicate a descriptor: %w", err)
	}
	syscall.CloseOnExec(fd)
	n.wake = os.NewFile(uintptr(fd), "zeekzmq-inbox")

	// What is queued before the engine runs is sent once it does.
	n.ready.init(n)
	if n.members != nil {
		n.push(cshim.Subscribe, NodeIDTopic(n.id), "", nil)
	}
	if n.engine, err = engine.Start(n.ch, *o); err != nil {
		n.wake.Close()
		n.ch.Free()
		return nil, err
	}
	go n.pump()
	return n, nil
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID makes a node id in the form that Zeek's nodes have.
func newID(name string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	random := make([]byte, 11)
	for i := range random {
		random[i] = base62[rand.IntN(len(base62))]
	}
	return fmt.Sprintf("zeromq_%s_%s_%d_N%s", name, host, os.Getpid(), random)
}

// ID is the node id: the sender of what the node publishes, different for every
// Node.
func (n *Node) ID() string { return n.id }

// Name is the name that the node joined with; empty for a client.
func (n *Node) Name() string { return n.name }

// Done is closed when the node has ended: by Close, or because its engine failed.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is why the node ended: nil before that, and after a Close.
func (n *Node) Err() error {
	select {
	case <-n.done:
		return n.failure
	default:
		return nil
	}
}

// push queues for the engine, whatever is queued already. It does nothing once
// the node is closed.
func (n *Node) push(kind cshim.Kind, topic, format string, payload []byte) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.closed {
		return ErrClosed
	}
	return n.ch.Push(kind, topic, format, payload)
}

// Ready waits until the broker is connected and the node has learnt of the
// subscriptions that exist, so that what it publishes reaches them. The error
// matches [ErrNotReady] and says what stands in the way, as far as that is
// known, or is [ErrClosed].
func (n *Node) Ready(ctx context.Context) error { return n.ready.await(ctx) }

// Publish sends an event to the subscribers of a topic; a topic that has none is
// not an error. Before the first event, and after the connection was lost, it
// waits until the node is ready, up to [ReadyTimeout]. If more is published than
// can be sent, it waits for room, up to overload_block_limit.
//
// The error matches [ErrNotReady], [ErrOverload] (both also if the context ends),
// [ErrClosed], or [ErrTopic], or is one of [event.Encode]'s. An event that was
// taken can still be lost, with the connection, or at a subscriber's high-water
// mark.
func (n *Node) Publish(ctx context.Context, topic string, e *event.Event) error {
	payload, err := event.Encode(n.cfg.format, e)
	if err != nil {
		return err
	}
	return n.PublishEncoded(ctx, topic, n.cfg.format, payload)
}

// PublishEncoded is Publish for an event in the form that [event.Encode] gives.
func (n *Node) PublishEncoded(ctx context.Context, topic string, f event.Format, payload []byte) error {
	if topic == "" {
		return fmt.Errorf("%w: it is empty", ErrTopic)
	}
	if err := f.Validate(payload); err != nil {
		return err
	}
	readyCtx, cancel := context.WithTimeout(ctx, n.cfg.readyTimeout)
	err := n.ready.await(readyCtx)
	cancel()
	if err != nil {
		return err
	}
	return n.send(ctx, cshim.Event, n.cfg.opts.XPubSndHWM, topic, f.String(), payload)
}

// WriteLogs sends a batch of log records, such as a [logbatch.Builder]'s, to one
// of the loggers of the option connect_log_endpoints. It waits for room as
// Publish does; log_overload says what happens when there is none.
func (n *Node) WriteLogs(ctx context.Context, batch []byte) error {
	if len(n.cfg.opts.ConnectLogEndpoints) == 0 {
		return errors.New("node: there is no logger to send logs to (connect_log_endpoints)")
	}
	if err := logbatch.Validate(batch); err != nil {
		return err
	}
	return n.send(ctx, cshim.Log, n.cfg.opts.LogSndHWM, "", logbatch.Format, batch)
}

// send queues a message once there is room for it.
func (n *Node) send(ctx context.Context, kind cshim.Kind, hwm int, topic, format string, payload []byte) error {
	max := uint64(hwm)
	if hwm == 0 {
		max = 1 << 62
	}
	var deadline time.Time
	for {
		n.mutex.Lock()
		if n.closed {
			n.mutex.Unlock()
			return ErrClosed
		}
		if records, bytes := n.ch.Queued(kind); records < max && bytes < queueBytesMax {
			err := n.ch.Push(kind, topic, format, payload)
			n.mutex.Unlock()
			return err
		}
		n.mutex.Unlock()

		now := time.Now()
		if deadline.IsZero() {
			deadline = now.Add(n.cfg.opts.OverloadBlockLimit)
			n.ch.Counters.PublishBlocks.Add(1)
		}
		if ctx.Err() != nil || now.After(deadline) {
			n.ch.Counters.QueueDrops.Add(1)
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("%w: %w", ErrOverload, err)
			}
			return fmt.Errorf("%w for %v", ErrOverload, n.cfg.opts.OverloadBlockLimit)
		}
		select {
		case <-ctx.Done():
		case <-n.done:
			return n.ended()
		case <-time.After(roomPoll):
		}
	}
}

// ended is the error of a call on a node that has ended.
func (n *Node) ended() error {
	if n.failure != nil {
		return fmt.Errorf("%w: %w", ErrClosed, n.failure)
	}
	return ErrClosed
}

// Stats are a node's counters, of messages; they only grow.
type Stats struct {
	EventsSent, EventsReceived uint64
	LogBatchesSent             uint64
	Refused                    uint64 // ErrOverload
	NotSent                    uint64 // dropped at xpub_sndhwm, with xpub_overload drop
	Dropped                    uint64 // dropped at onloop_queue_hwm: the process does not keep up
	Invalid                    uint64 // received and found malformed
	Slow                       uint64 // dropped, as a subscription's queue was full; all subscriptions
}

// Stats returns the counters. After Close they are final.
func (n *Node) Stats() Stats {
	n.mutex.Lock() // not while Close frees them
	defer n.mutex.Unlock()
	if n.ch == nil {
		return n.last
	}
	c := n.ch.Counters
	return Stats{
		EventsSent: c.EventsSent.Load(), EventsReceived: c.EventsReceived.Load(),
		LogBatchesSent: c.LogsSent.Load(),
		Refused:        c.QueueDrops.Load(), NotSent: c.XPubDrops.Load(), Dropped: c.OnloopDrops.Load(),
		Invalid: c.InvalidEvents.Load() + c.MsgErrors.Load(),
		Slow:    n.slow.Load(),
	}
}

// Close ends the node: what was published is sent, within linger_ms, what has
// arrived is given to the subscriptions, which then end after what they hold.
// Members of the cluster see node_down. Further calls give the same result.
func (n *Node) Close() error {
	n.closeOnce.Do(func() {
		n.mutex.Lock()
		n.closed = true
		n.mutex.Unlock()

		n.closeErr = n.engine.Stop()
		n.mutex.Lock()
		n.stopped = true
		n.wake.SetReadDeadline(time.Unix(1, 0)) // the pump drains, and ends
		n.mutex.Unlock()
		<-n.pumpDone
		n.wake.Close()
		if !errors.Is(n.closeErr, engine.ErrTimeout) {
			last := n.Stats()
			n.mutex.Lock()
			n.last = last
			n.ch.Free()
			n.ch = nil
			n.mutex.Unlock()
		}
	})
	return n.closeErr
}
