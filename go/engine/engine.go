// SPDX-License-Identifier: BSD-3-Clause

// Package engine is a node of a Zeek cluster: it owns the sockets to the broker
// and the loggers, and moves messages between them and the queues of a channel.
//
// One goroutine, on a thread of its own, runs an engine from Start to Stop and
// is the only one to touch its sockets. It takes from the channel's outbound
// queues, puts into its inbox, and never waits for the host: what has no room
// is dropped and counted, or left to libzmq's back-pressure.
package engine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// EndpointError is a bind or connect that failed.
type EndpointError struct {
	Doing    string // such as "bind pull"
	Option   string // that holds the endpoint
	Endpoint string
	Err      error
}

func (e *EndpointError) Error() string {
	return fmt.Sprintf("Failed to %s socket %s: %v (%s)", e.Doing, e.Endpoint, e.Err, e.Option)
}

func (e *EndpointError) Unwrap() error { return e.Err }

// ErrTimeout says that an engine did not end in time.
var ErrTimeout = errors.New("engine: did not end in time")

// PanicError is a panic in the engine.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("the engine panicked: %v\n%s", e.Value, e.Stack)
}

const (
	// Records taken from an outbound queue before the sockets have their turn.
	sendBatch = cshim.BatchMax

	// Bytes of log batches in the inbox at which the PULL is left alone, so that
	// its high-water mark, and then the senders', holds the flood.
	inboxBytesMax = 256 << 20

	// Looking again for room in the inbox or in a socket, in milliseconds.
	retryMs = 10
)

// Engine is a running node.
type Engine struct {
	ch   *cshim.Channel
	opts options.Options
	ctx  *sharedContext
	own  *localBroker // null if the broker is elsewhere

	xsub, xpub, push, pull *cshim.Socket
	monitors               []*cshim.Socket

	poller                       *cshim.Poller
	xsubBit, xpubBit, pullBit    uint32
	monitorBits                  []uint32
	sender                       *cshim.Sender
	receiver                     *cshim.Receiver
	service                      *cshim.Service // null if every message sent is Go's business
	limits                       cshim.Limits
	xpubDrops, onloopDrops       episode
	logDrops, malformed, invalid episode
	spilled, spillFailed         episode
	xpubWaits, onloopWaits       episode // for room: events, to be sent or received
	logWaits, inboxWaits         episode // likewise log batches
	drops                        drops
	spill                        *spill    // null unless log_overload is spill
	fullSince                    time.Time // the inbox was full since, with onloop_overload block
	retry                        bool      // something waits for room: look again soon
	stalled                      uint32    // sockets whose messages do
	done                         chan struct{}
	failure                      *PanicError // set before done is closed
}

// Start connects and binds the sockets of a node and starts its engine on ch.
// Errors are of type *[EndpointError] where an endpoint is at fault. On an
// error nothing is left behind.
func Start(ch *cshim.Channel, opts options.Options) (*Engine, error) {
	if opts.NodeID == "" {
		return nil, &options.Error{Name: "node_id", Want: "an identifier of the node's own"}
	}
	if err := opts.CheckKeys(); err != nil {
		return nil, err
	}

	ctx, own, err := acquireContext(&opts)
	if err != nil {
		return nil, fmt.Errorf("cannot start a node: %w", err)
	}

	e := &Engine{ch: ch, opts: opts, ctx: ctx, own: own, done: make(chan struct{})}
	e.limits = cshim.Limits{Max: cshim.BatchMax, Depth: opts.OnloopHWM}
	if n := opts.PollMaxMessages; n > 0 && n < uint64(cshim.BatchMax) {
		e.limits.Max = int(n)
	}

	if err := e.open(); err != nil {
		e.close(0)
		return nil, err
	}

	go e.run()
	return e, nil
}

// Stop makes the engine send what is queued, within linger_ms, close its
// sockets and end, and waits for that. Afterwards the channel is the caller's
// again, unless the error is [ErrTimeout]. With a linger_ms of -1 it waits until
// everything is sent. While other nodes of the process live, what libzmq has
// taken over by then goes out in the background.
func (e *Engine) Stop() error {
	e.ch.Stop()

	if e.opts.LingerMs < 0 {
		<-e.done
	} else {
		select {
		case <-e.done:
		case <-time.After(time.Duration(e.opts.LingerMs)*time.Millisecond + time.Second):
			return ErrTimeout
		}
	}

	if e.failure != nil {
		return e.failure
	}
	return nil
}

// Done is closed when the engine has ended, whether by Stop or by a panic.
func (e *Engine) Done() <-chan struct{} { return e.done }

func (e *Engine) run() {
	// libzmq's sockets may move between threads, but not without cost. The
	// thread ends with the goroutine.
	runtime.LockOSThread()
	cshim.SetThreadName("zeekzmq-engine")
	cshim.SetTimerSlack()
	e.debugf(options.DebugThread, "thread starting (%s)", e.opts.NodeID)

	defer close(e.done)
	defer func() {
		if v := recover(); v != nil {
			e.failure = &PanicError{v, debug.Stack()}
			e.receiver.RejectAll() // perhaps not validated
			e.ch.Tell(cshim.Fatal, e.failure.Error())
			e.close(0)
		}
	}()

	e.close(e.loop())
	e.debugf(options.DebugThread, "thread ending (%s)", e.opts.NodeID)
}

// loop moves messages until the channel is stopped, and returns what is left of
// linger_ms then.
func (e *Engine) loop() time.Duration {
	e.serve()
	left := e.flush()
	if e.spill != nil {
		e.spillQueue()
	}
	e.drops.report(e.ch, true)
	e.endEpisodes()
	return left
}

// serve moves messages until the channel is stopped. With a broker in the process
// it forwards the broker's messages too, unless it has to do with files.
func (e *Engine) serve() {
	if e.own != nil && e.service != nil {
		e.own.borrow(e.poller, e.limits.Max)
		defer e.own.giveBack(e.poller)
	}

	ready := uint32(0)
	for !e.ch.Stopping() {
		if e.poller.RelayDue() {
			e.own.giveBack(e.poller)
		}
		again := e.step(ready)

		timeout := e.tick()
		if again != 0 {
			timeout = 0
		} else if e.retry {
			timeout = retryMs
		}

		var news uint32
		if timeout < 0 && e.service != nil {
			news = e.serveInC()
		} else {
			var err error
			news, err = e.poller.Wait(timeout)
			e.check("poll", err)
		}
		if e.opts.DebugFlags&options.DebugPoll != 0 {
			e.debugf(options.DebugPoll, "poll: xsub=%t xpub=%t pull=%t again=%#x", news&e.xsubBit != 0,
				news&e.xpubBit != 0, news&e.pullBit != 0, again)
		}
		ready = news | again | e.stalled
	}
}

// step serves every socket with news once, and returns those that may have
// more.
func (e *Engine) step(ready uint32) (again uint32) {
	e.retry, e.stalled = false, 0

	if e.send() {
		again |= 1 << 31 // no socket's bit: just do not sleep
	}
	if ready&e.xsubBit != 0 && e.receiveEvents() {
		again |= e.xsubBit
	}
	if ready&e.xpubBit != 0 && e.receiveSubscriptions() {
		again |= e.xpubBit
	}
	if ready&e.pullBit != 0 && e.receiveLogs() {
		again |= e.pullBit
	}
	for i, bit := range e.monitorBits {
		if ready&bit != 0 && e.receiveMonitor(e.monitors[i]) {
			again |= bit
		}
	}
	return again
}

// flush sends what is still queued, within linger_ms.
func (e *Engine) flush() time.Duration {
	linger := time.Duration(e.opts.LingerMs) * time.Millisecond
	start := time.Now()

	for e.ch.Pending() {
		left := linger - time.Since(start)
		if linger >= 0 && left <= 0 {
			return 0
		}
		if e.send() {
			continue
		}
		if !e.ch.Pending() {
			break
		}
		_, err := e.poller.Wait(retryMs)
		e.check("poll", err)
	}

	if linger < 0 {
		return linger
	}
	return max(0, linger-time.Since(start))
}

// send sends from the outbound queues, and says whether there may be more.
func (e *Engine) send() (more bool) {
	more = e.sendEvents()
	if e.push != nil {
		more = e.sendLogs() || more
	}
	return more
}

func (e *Engine) sendEvents() (more bool) {
	for budget := sendBatch; budget > 0; {
		s, err := e.sender.Events(e.xpub, e.xsub, budget)
		e.check("send events", err)
		if s.Sent > 0 && e.opts.DebugFlags&options.DebugPanic != 0 {
			panic("debug_flags asked for it")
		}
		if s.Sent > 0 || s.Blocked {
			e.poller.Ask(e.xpubBit)
			e.poller.Moved(s.Sent)
			e.ch.Counters.EventsSent.Add(uint64(s.Sent))
		}
		if s.Controls > 0 {
			e.poller.Ask(e.xsubBit)
		}
		if !s.Blocked {
			e.xpubWaits.pass()
			return s.More
		}
		if e.opts.XPubOverload == options.Block {
			e.xpubWaits.wait(e)
			e.retry = true // the host waits, see Backend::Push()
			e.poller.Ignore(true, false)
			return false
		}

		rec := e.sender.OldestEvent()
		e.drops.note(reasonXPub, rec.Topic())
		e.ch.Counters.XPubDrops.Add(1)
		e.xpubDrops.note(e, 1)
		e.sender.DropEvent(rec)
		budget -= s.Sent + s.Controls + 1
	}
	return true
}

func (e *Engine) sendLogs() (more bool) {
	if e.spill != nil {
		if !e.spill.empty() {
			more = e.resend()
			e.spillQueue() // behind what is on disk, to keep the order
			e.retry = true
		}
		if err := e.spill.takeDamage(); err != nil {
			e.ch.Tell(cshim.Error, fmt.Sprintf("spilled log batches are lost: %v", err))
		}
		if more || !e.spill.empty() {
			return more
		}
	}

	for budget := sendBatch; budget > 0; {
		s, err := e.sender.Logs(e.push, budget)
		e.check("send logs", err)
		e.poller.Moved(s.Sent)
		e.ch.Counters.LogsSent.Add(uint64(s.Sent))
		if !s.Blocked {
			e.logWaits.pass()
			return s.More
		}

		switch {
		case e.spill != nil:
			e.spillQueue()
			e.retry = true
			return false
		case e.opts.LogOverload == options.Block && len(e.opts.ConnectLogEndpoints) > 0:
			e.logWaits.wait(e)
			e.retry = true // likewise
			e.poller.Ignore(false, true)
			return false
		}
		e.dropLog(e.sender.OldestLog(), reasonLog)
		budget -= s.Sent + 1
	}
	return true
}

// dropLog drops the oldest log batch. With no logger in the configuration that
// is what its user wants, and not worth a word.
func (e *Engine) dropLog(rec *cshim.Record, reason string) {
	if len(e.opts.ConnectLogEndpoints) > 0 {
		e.drops.note(reason, nil)
		e.ch.Counters.LogDrops.Add(1)
		e.logDrops.detail = reason
		e.logDrops.note(e, 1)
	}
	e.sender.DropLog(rec)
}

// resend sends some of what was spilled, and says whether more can be sent now.
func (e *Engine) resend() (more bool) {
	for n := 0; n < sendBatch && !e.spill.empty(); n++ {
		format, payload := e.spill.parts()
		err := e.sender.Log(e.push, format, payload)
		if err == cshim.ErrAgain {
			return false
		}
		e.check("send spilled logs", err)
		e.spill.done()
		e.ch.Counters.LogsSent.Add(1)
		e.ch.Counters.LogsResent.Add(1)
	}
	if e.spill.empty() {
		e.spilled.end(e)
		return false
	}
	return true
}

// spillQueue moves the queued log batches to disk; those that have no room
// there are dropped.
func (e *Engine) spillQueue() {
	for rec := e.sender.OldestLog(); rec != nil; rec = e.sender.OldestLog() {
		switch err := e.spill.append(rec.Format(), rec.Payload()); {
		case err == errSpillFull:
			e.dropLog(rec, reasonSpillFull)
		case err != nil:
			e.spillFailed.detail = err.Error()
			e.spillFailed.note(e, 1)
			e.dropLog(rec, reasonSpill)
		default:
			e.sender.DropLog(rec)
			e.ch.Counters.LogsSpilled.Add(1)
			e.spilled.note(e, 1)
		}
	}
}

// serveInC waits in C, which sends and delivers meanwhile, and looks at what it
// did not find plain before anything else goes into the inbox.
func (e *Engine) serveInC() (news uint32) {
	news, err := e.poller.Serve(e.service)
	e.check("poll", err)
	if e.service.Delivered() > 0 {
		e.fullSince = time.Time{} // there was room
		e.onloopWaits.pass()
	}
	if r, ok := e.service.Undecided(); ok {
		e.takeEvents(r)
	}
	return news
}

func (e *Engine) receiveEvents() (more bool) {
	if !e.fullSince.IsZero() && e.ch.InboxEvents() < e.limits.Depth {
		e.fullSince = time.Time{} // there is room: what comes may wait again
	}
	limits := e.limits
	limits.WaitForRoom = e.opts.OnloopOverload == options.Block &&
		(e.fullSince.IsZero() || time.Since(e.fullSince) < e.opts.OverloadBlockLimit)
	r, err := e.receiver.Events(e.xsub, limits)
	e.check("receive events", err)
	return e.takeEvents(r)
}

func (e *Engine) takeEvents(r cshim.Received) (more bool) {
	valid := e.deliver(r, e.validateEvent)
	e.ch.Counters.EventsReceived.Add(uint64(valid))
	e.ch.Counters.InvalidEvents.Add(uint64(len(r.Records) - valid))
	e.ch.Counters.OnloopDrops.Add(uint64(r.Dropped))
	for i := range r.Topics {
		e.drops.note(reasonOnloop, r.Topics[i].Bytes())
	}
	e.onloopDrops.note(e, r.Dropped)

	if r.Full {
		if e.fullSince.IsZero() {
			e.fullSince = time.Now()
		}
		e.stall(e.xsubBit, &e.onloopWaits)
	} else {
		e.onloopWaits.pass()
	}
	return r.More
}

// stall leaves a socket alone for a moment, since the inbox has no room.
func (e *Engine) stall(bit uint32, waits *episode) {
	waits.wait(e)
	e.ch.Counters.QueueBlocks.Add(1)
	e.retry = true
	e.stalled |= bit
	e.poller.IgnoreSockets(bit)
}

func (e *Engine) receiveLogs() (more bool) {
	limits := e.limits
	limits.Bytes = inboxBytesMax
	r, err := e.receiver.Logs(e.pull, limits)
	e.check("receive logs", err)

	valid := e.deliver(r, e.validateLog)
	e.ch.Counters.LogsReceived.Add(uint64(valid))
	e.ch.Counters.InvalidLogs.Add(uint64(len(r.Records) - valid))
	if r.Full {
		e.stall(e.pullBit, &e.inboxWaits)
	} else {
		e.inboxWaits.pass()
	}
	return r.More
}

func (e *Engine) receiveSubscriptions() (more bool) {
	r, err := e.receiver.Subscriptions(e.xpub, e.limits)
	e.check("receive subscriptions", err)
	e.deliver(r, nil)
	return r.More
}

func (e *Engine) receiveMonitor(pair *cshim.Socket) (more bool) {
	r, err := e.receiver.Monitor(pair, e.limits)
	e.check("receive monitoring events", err)
	e.deliver(r, nil)
	return r.More
}

// deliver hands what was received to the host, but for what validate finds
// would hurt it, and returns how much that was. It is done with the records
// before it tells the operator anything, since that goes into the inbox too.
func (e *Engine) deliver(r cshim.Received, validate func(*cshim.Record) error) (valid int) {
	e.poller.Moved(r.Taken)
	valid = len(r.Records)
	if validate != nil {
		for _, rec := range r.Records {
			if err := validate(rec); err != nil {
				e.invalid.detail = fmt.Sprintf("topic %.80q, %d bytes of %q: %v", rec.Topic(), len(rec.Payload()), rec.Format(), err)
				e.drops.note(reasonInvalid, rec.Topic())
				e.receiver.Reject(rec)
				valid--
			}
		}
	}
	if len(r.Records) > 0 {
		e.receiver.Commit()
	}

	e.invalid.note(e, len(r.Records)-valid)
	if r.Errors > 0 {
		e.ch.Counters.MsgErrors.Add(uint64(r.Errors))
		e.malformed.detail = fmt.Sprintf("the last had %d parts", r.BadParts)
		e.malformed.note(e, r.Errors)
	}
	return valid
}

// check ends the engine on an error that no message caused. It is reported as
// any panic is.
func (e *Engine) check(doing string, err error) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", doing, err))
	}
}

func (e *Engine) debugf(flag uint64, format string, args ...any) {
	if e.opts.DebugFlags&flag != 0 {
		fmt.Fprintf(os.Stderr, "[zeromq] "+format+"\n", args...)
	}
}
