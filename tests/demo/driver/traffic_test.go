// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestTrafficIsTheSameOnEveryRun(t *testing.T) {
	a, b := newTraffic(1), newTraffic(1)
	if len(a.packets) != len(b.packets) {
		t.Fatalf("%d and %d packets", len(a.packets), len(b.packets))
	}
	for i := range a.packets {
		if a.packets[i].time != b.packets[i].time || !bytes.Equal(a.packets[i].frame, b.packets[i].frame) {
			t.Fatalf("packet %d differs", i)
		}
	}
}

func TestChecksums(t *testing.T) {
	for i, p := range newTraffic(2).packets {
		ip := p.frame[14:]
		var sum uint32
		var segment []byte
		var proto byte
		if ip[0]>>4 == 4 {
			if fold(sum16(0, ip[:20])) != 0 {
				t.Fatalf("packet %d: wrong IP checksum", i)
			}
			segment, proto = ip[20:], ip[9]
			sum = sum16(0, ip[12:20])
			if int(binary.BigEndian.Uint16(ip[2:])) != len(ip) {
				t.Fatalf("packet %d: wrong length", i)
			}
		} else {
			segment, proto = ip[40:], ip[6]
			sum = sum16(0, ip[8:40])
			if int(binary.BigEndian.Uint16(ip[4:])) != len(segment) {
				t.Fatalf("packet %d: wrong length", i)
			}
		}
		if proto == protoICMP {
			sum = 0
		} else {
			sum += uint32(proto) + uint32(len(segment))
		}
		if fold(sum16(sum, segment)) != 0 {
			t.Fatalf("packet %d: wrong checksum of protocol %d", i, proto)
		}
		if len(p.frame) > 1514 {
			t.Fatalf("packet %d: %d bytes", i, len(p.frame))
		}
	}
}
