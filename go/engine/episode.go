// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"fmt"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// quiet is how long nothing must be lost for an episode to be over.
const quiet = 5 * time.Second

// episode tells the operator of losses and waits without flooding the log: once
// when they begin, and once, with their number, when they have ended. The
// engine's goroutine only.
type episode struct {
	kind   cshim.Kind
	begun  string // what to say first
	over   string // with %d for the number
	detail string // added to what is said first

	number uint64
	last   time.Time
	since  time.Time     // of a wait that lasts
	waited time.Duration // in those that are over
}

// note says that so many were lost.
func (p *episode) note(e *Engine, lost int) {
	if lost == 0 {
		return
	}
	if p.number == 0 {
		text := p.begun
		if p.detail != "" {
			text += ": " + p.detail
		}
		e.ch.Tell(p.kind, text)
	}
	p.number += uint64(lost)
	p.last = time.Now()
}

// wait says that something waits for room, whether or not it did before.
func (p *episode) wait(e *Engine) {
	if p.since.IsZero() {
		p.note(e, 1)
		p.since = p.last
	}
}

// pass says that nothing waits any longer.
func (p *episode) pass() {
	if !p.since.IsZero() {
		p.last = time.Now()
		p.waited += p.last.Sub(p.since)
		p.since = time.Time{}
	}
}

func (e *Engine) episodes() []*episode {
	return []*episode{&e.xpubDrops, &e.onloopDrops, &e.logDrops, &e.malformed, &e.invalid, &e.spilled, &e.spillFailed,
		&e.xpubWaits, &e.onloopWaits, &e.logWaits, &e.inboxWaits}
}

// tick ends the episodes that are over, and returns how long to sleep, in
// milliseconds, until the next could be: -1 if none is open.
func (e *Engine) tick() int {
	timeout := -1
	if e.drops.report(e.ch, false); len(e.drops.counts) > 0 {
		timeout = 1000
	}
	for _, p := range e.episodes() {
		if p.number > 0 && p.since.IsZero() && time.Since(p.last) > quiet {
			p.end(e)
		}
		if p.number > 0 {
			timeout = 1000
		}
	}
	return timeout
}

// endEpisodes tells what there was, before the engine ends.
func (e *Engine) endEpisodes() {
	for _, p := range e.episodes() {
		p.end(e)
	}
}

// end closes an episode, if one is open.
func (p *episode) end(e *Engine) {
	if p.number == 0 {
		return
	}
	p.pass()
	text := fmt.Sprintf(p.over, p.number)
	if p.waited > 0 {
		text += fmt.Sprintf(", for %.1f seconds in all", p.waited.Seconds())
	}
	e.ch.Tell(cshim.Warning, text)
	p.number, p.waited = 0, 0
}
