// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"fmt"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// quiet is how long nothing must be lost for an episode to be over.
const quiet = 5 * time.Second

// episode tells the operator of losses without flooding the log: once when they
// begin, and once, with their number, when they have ended. The engine's
// goroutine only.
type episode struct {
	kind   cshim.Kind
	begun  string // what to say first
	over   string // with %d for the number lost
	detail string // added to what is said first

	lost uint64
	last time.Time
}

// note says that so many were lost.
func (p *episode) note(e *Engine, lost int) {
	if lost == 0 {
		return
	}
	if p.lost == 0 {
		text := p.begun
		if p.detail != "" {
			text += ": " + p.detail
		}
		e.ch.Tell(p.kind, text)
	}
	p.lost += uint64(lost)
	p.last = time.Now()
}

func (e *Engine) episodes() [7]*episode {
	return [...]*episode{&e.xpubDrops, &e.onloopDrops, &e.logDrops, &e.malformed, &e.invalid, &e.spilled, &e.spillFailed}
}

// tick ends the episodes that are over, and returns how long to sleep, in
// milliseconds, until the next could be: -1 if none is open.
func (e *Engine) tick() int {
	timeout := -1
	if e.drops.report(e.ch, false); len(e.drops.counts) > 0 {
		timeout = 1000
	}
	for _, p := range e.episodes() {
		if p.lost > 0 && time.Since(p.last) > quiet {
			p.end(e)
		}
		if p.lost > 0 {
			timeout = 1000
		}
	}
	return timeout
}

// endEpisodes tells what was lost, before the engine ends.
func (e *Engine) endEpisodes() {
	for _, p := range e.episodes() {
		p.end(e)
	}
}

// end closes an episode, if one is open.
func (p *episode) end(e *Engine) {
	if p.lost > 0 {
		e.ch.Tell(cshim.Warning, fmt.Sprintf(p.over, p.lost))
		p.lost = 0
	}
}
