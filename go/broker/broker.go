// SPDX-License-Identifier: BSD-3-Clause

// Package broker is the central broker of a cluster: an XSUB (frontend) that
// nodes publish to and an XPUB (backend) that they receive from, with messages
// forwarded one way and subscriptions the other.
//
// One goroutine, on a thread of its own, owns both sockets, or lends them to the
// engine of a node in the same process (own_broker). A subscriber that
// is too slow holds up the events of all, as with zmq_proxy(3), unless
// listen_xpub_nodrop is off; it never holds up subscriptions.
package broker

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// quiet is how long nothing may arrive for a stopping broker to be done.
const quiet = 20 * time.Millisecond

// ErrTimeout says that a broker did not end in time.
var ErrTimeout = errors.New("broker: did not end in time")

// Stats are a broker's counters; they only grow.
type Stats = cshim.BrokerStats

// NewStats allocates counters for a broker, which are never freed.
func NewStats() *Stats { return cshim.NewBrokerStats() }

// Broker is a running broker.
type Broker struct {
	opts       options.Options
	ctx        *engine.BrokerContext
	xsub, xpub *cshim.Socket
	stats      *Stats
	relay      *cshim.Relay
	allowed    []string // public keys beside curve_client_publickey
	zap        *engine.ZAP
	endpoints  [2]string
	done       chan struct{}
	failure    error
}

// Start binds listen_xpub_endpoint and listen_xsub_endpoint and forwards
// between them. Errors are of type *[engine.EndpointError] where an endpoint is
// at fault. On an error nothing is left behind. stats must be memory of
// [NewStats] or of a C host. With CURVE, clients with one of the allowed public
// keys may connect beside those with curve_client_publickey.
func Start(opts options.Options, stats *Stats, allowed ...string) (*Broker, error) {
	if err := opts.CheckKeys(); err != nil {
		return nil, err
	}
	if err := engine.CheckDescriptors(); err != nil {
		return nil, fmt.Errorf("cannot start the broker: %w", err)
	}
	ctx, err := engine.NewBrokerContext(int(opts.ProxyIOThreads))
	if err != nil {
		return nil, fmt.Errorf("cannot start the broker: %w", err)
	}

	b := &Broker{opts: opts, ctx: ctx, stats: stats, allowed: allowed, done: make(chan struct{})}
	if err := b.open(); err != nil {
		b.close(0)
		return nil, err
	}
	go b.run()
	return b, nil
}

func (b *Broker) open() error {
	var err error
	if b.xpub, b.xsub, err = engine.NewBrokerSockets(b.ctx.Context, &b.opts); err != nil {
		return err
	}
	if b.opts.CurveServer() {
		if b.zap, err = engine.ServeZAP(b.ctx.Context, append(b.allowed, b.opts.CurveClientPublicKey)...); err != nil {
			return err
		}
	}
	if err := b.xpub.Bind(b.opts.ListenXPubEndpoint); err != nil {
		return &engine.EndpointError{Doing: "bind xpub", Option: "listen_xpub_endpoint", Endpoint: b.opts.ListenXPubEndpoint, Err: err}
	}
	if err := b.xsub.Bind(b.opts.ListenXSubEndpoint); err != nil {
		return &engine.EndpointError{Doing: "bind xsub", Option: "listen_xsub_endpoint", Endpoint: b.opts.ListenXSubEndpoint, Err: err}
	}
	if b.endpoints[0], err = b.xpub.LastEndpoint(); err != nil {
		return err
	}
	if b.endpoints[1], err = b.xsub.LastEndpoint(); err != nil {
		return err
	}
	if b.relay, err = cshim.NewRelay(b.xsub, b.xpub, b.stats); err != nil {
		return fmt.Errorf("cannot make the broker's waker: %w", err)
	}
	return b.ctx.Offer(b.xpub, b.xsub, b.relay, &b.opts)
}

// Endpoints returns the endpoints bound, with the ports that the system chose.
func (b *Broker) Endpoints() (xpub, xsub string) { return b.endpoints[0], b.endpoints[1] }

// SetAllowed replaces the public keys of the clients that may connect. Those that
// are connected stay so. Without CURVE it does nothing. On an error nothing has
// changed.
func (b *Broker) SetAllowed(publicKeys []string) error {
	if b.zap == nil {
		return nil
	}
	return b.zap.SetAllowed(publicKeys)
}

// Alive says whether the broker's thread took a turn within the given time.
func (b *Broker) Alive(within time.Duration) bool {
	before := b.relay.Prod()
	deadline := time.Now().Add(within)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		select {
		case <-b.done:
			return false
		default:
		}
		if b.relay.Prod() != before {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
}

// Done is closed when the broker has ended, whether by Stop or by a failure.
func (b *Broker) Done() <-chan struct{} { return b.done }

// Stop forwards what has arrived, within linger_ms, ends the broker and waits
// for that. The result is the failure that ended it before, if any.
func (b *Broker) Stop() error {
	b.relay.Stop()

	select {
	case <-b.done:
		return b.failure
	case <-time.After(b.linger() + time.Second):
		return ErrTimeout
	}
}

// linger is linger_ms, or the default where that has no bound: a broker has no
// messages of its own to wait for.
func (b *Broker) linger() time.Duration {
	if b.opts.LingerMs < 0 {
		return 500 * time.Millisecond
	}
	return time.Duration(b.opts.LingerMs) * time.Millisecond
}

func (b *Broker) run() {
	runtime.LockOSThread() // the thread ends with the goroutine
	cshim.SetThreadName("zeekzmq-broker")
	cshim.SetTimerSlack()
	defer close(b.done)

	linger, err := b.loop()
	if err != nil {
		b.failure = err
		b.stats.Tell("the broker failed: " + err.Error())
	}
	b.close(linger)
}

// loop forwards until the broker is to stop, and returns what is left of
// linger_ms then, or why it cannot go on.
func (b *Broker) loop() (linger time.Duration, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &engine.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()

	for !b.relay.Stopping() {
		if err := b.relay.Run(); err != nil {
			return 0, err
		}
		if !b.relay.Stopping() {
			b.ctx.Lend()
		}
	}
	deadline, lastMoved := time.Now().Add(b.linger()), time.Now()
	for {
		moved, err := b.relay.Round(5)
		if err != nil {
			return 0, err
		}
		now := time.Now()
		if moved > 0 {
			lastMoved = now
		}
		if now.After(deadline) || now.Sub(lastMoved) > quiet {
			return time.Until(deadline), nil
		}
	}
}

// close frees what open made. What subscribers have not received then has the
// given time.
func (b *Broker) close(linger time.Duration) {
	linger = max(0, linger)
	for _, s := range []*cshim.Socket{b.xpub, b.xsub} {
		if s != nil {
			s.Set(cshim.Linger, int(linger/time.Millisecond))
			s.Close()
		}
	}
	b.zap.Stop()
	if b.relay != nil {
		b.relay.Close()
	}
	b.ctx.Release(linger)
}
