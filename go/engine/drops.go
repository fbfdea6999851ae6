// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// Why a message was dropped: the option that set the bound, or what was wrong.
// Labels of the host's metric.
const (
	reasonXPub      = "xpub_sndhwm"
	reasonOnloop    = "onloop_queue_hwm"
	reasonLog       = "log_sndhwm"
	reasonSpillFull = "log_spill_max_bytes"
	reasonSpill     = "spill_failed"
	reasonInvalid   = "invalid"
)

const (
	// Topics told apart between two reports; the rest is otherTopic.
	dropTopics = 64
	otherTopic = "__other__"

	// How often the host is told.
	dropInterval = time.Second
)

type dropKey struct{ reason, topic string }

// drops counts what was dropped by reason and topic and reports it to the host
// from time to time. The engine's goroutine only.
type drops struct {
	counts   map[dropKey]uint64
	reported time.Time
}

var nodeIDTopics = []byte("zeek.cluster.nodeid.")

func (d *drops) note(reason string, topic []byte) {
	if bytes.HasPrefix(topic, nodeIDTopics) {
		topic = []byte("zeek.cluster.nodeid.__normalized__") // one for each process that there ever was
	}
	if d.counts == nil {
		d.counts = map[dropKey]uint64{}
	}
	key := dropKey{reason, string(topic[:min(len(topic), 63)])}
	if _, known := d.counts[key]; !known && len(d.counts) >= dropTopics {
		key.topic = otherTopic
	}
	d.counts[key]++
}

// report tells the host, if it is time or the last chance.
func (d *drops) report(ch *cshim.Channel, last bool) {
	if len(d.counts) == 0 || !last && time.Since(d.reported) < dropInterval {
		return
	}
	for key, n := range d.counts {
		ch.TellDrops(key.reason, key.topic, binary.NativeEndian.AppendUint64(nil, n))
	}
	clear(d.counts)
	d.reported = time.Now()
}
