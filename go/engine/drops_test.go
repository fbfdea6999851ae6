// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"fmt"
	"strings"
	"testing"
)

func TestDropsByReasonAndTopic(t *testing.T) {
	var d drops
	for _, topic := range []string{"a", "b", "a", ""} {
		d.note(reasonXPub, []byte(topic))
	}
	d.note(reasonOnloop, []byte("a"))
	for key, want := range map[dropKey]uint64{
		{reasonXPub, "a"}: 2, {reasonXPub, "b"}: 1, {reasonXPub, ""}: 1, {reasonOnloop, "a"}: 1, {reasonOnloop, "b"}: 0,
	} {
		if got := d.counts[key]; got != want {
			t.Errorf("%v: %d, want %d", key, got, want)
		}
	}
}

// Node ids are new with every process, and so without number.
func TestDropsForNodeIDsAreOneTopic(t *testing.T) {
	var d drops
	for i := range 10 {
		d.note(reasonXPub, fmt.Appendf(nil, "zeek.cluster.nodeid.zeromq_worker_host_%d_Nx.", i))
	}
	if len(d.counts) != 1 || d.counts[dropKey{reasonXPub, "zeek.cluster.nodeid.__normalized__"}] != 10 {
		t.Errorf("%v", d.counts)
	}
}

// Peers choose topics: neither their number nor their length may cost memory.
func TestDropsAreBounded(t *testing.T) {
	var d drops
	const topics = 10 * dropTopics
	for i := range topics {
		d.note(reasonOnloop, fmt.Appendf(nil, "%d%s", i, strings.Repeat("x", 1000)))
	}
	d.note(reasonOnloop, fmt.Appendf(nil, "%d%s", 0, strings.Repeat("x", 1000))) // known
	if len(d.counts) > dropTopics+1 {
		t.Errorf("%d topics told apart, the bound is %d", len(d.counts), dropTopics)
	}
	sum := uint64(0)
	for key, n := range d.counts {
		sum += n
		if len(key.topic) > 63 {
			t.Errorf("a topic of %d bytes", len(key.topic))
		}
	}
	if other := d.counts[dropKey{reasonOnloop, otherTopic}]; other != topics-dropTopics || sum != topics+1 {
		t.Errorf("%d of %d are of other topics", other, sum)
	}
}
