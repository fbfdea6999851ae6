// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// The type tags of broker-bin-v1.
const (
	tagNone byte = iota
	tagBool
	tagCount
	tagInt
	tagReal
	tagString
	tagAddress
	tagSubnet
	tagPort
	tagTime
	tagInterval
	tagEnum
	tagSet
	tagTable
	tagList
	numTags
)

// fixedSize is the size in bytes of the bodies that are always equally long, or -1.
var fixedSize = [numTags]int8{
	tagNone: 0, tagBool: 1, tagCount: 8, tagInt: 8, tagReal: 8, tagString: -1, tagAddress: 16, tagSubnet: 17,
	tagPort: 3, tagTime: 8, tagInterval: 8, tagEnum: -1, tagSet: -1, tagTable: -1, tagList: -1,
}

// envelopeHead is how every event starts: list of 3, version 1, kind 1, list. Then follows 2 or 3, the number of
// items of the inner list.
const envelopeHead = "\x0e\x03" + "\x02\x00\x00\x00\x00\x00\x00\x00\x01" + "\x02\x00\x00\x00\x00\x00\x00\x00\x01" + "\x0e"

// v4Prefix is what the first 12 bytes of an IPv4 address are.
const v4Prefix = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"

// binScan walks over a binary payload without building anything. Methods return the next position, or -1 after
// having set off, err and detail.
type binScan struct {
	p         []byte
	budget    int // how many more values may follow, see MaxValues
	rescanned int // bytes looked at again because they belong to opaque values
	name      []byte

	off    int
	err    error
	detail string
}

func validateBin(payload []byte) (name []byte, err error) {
	s := binScan{p: payload, budget: MaxValues(len(payload))}
	if s.event() < 0 {
		return nil, s.fault()
	}
	return s.name, nil
}

func (s *binScan) fault() error {
	return &SyntaxError{Offset: s.off, Err: s.err, Detail: s.detail}
}

func (s *binScan) fail(off int, err error) int {
	s.off, s.err = off, err
	return -1
}

func (s *binScan) failf(off int, err error, format string, args ...any) int {
	s.detail = fmt.Sprintf(format, args...)
	return s.fail(off, err)
}

// event checks the whole payload.
//
// Zeek's binary path looks at neither version, kind nor list lengths and indexes the lists without bounds: a short
// outer or inner list, or a metadata entry of another length than 2, reads past the end of a list
// (src/cluster/serializer/broker/Serializer.cc, broker/variant_list.hh).
func (s *binScan) event() int {
	if len(s.p) > MaxPayload {
		return s.failf(0, ErrTooLarge, "%d bytes, at most %d", len(s.p), MaxPayload)
	}
	pos, items := 0, 0
	if p := s.p; len(p) > len(envelopeHead) && string(p[:len(envelopeHead)]) == envelopeHead && p[len(envelopeHead)] < 0x80 {
		pos, items = len(envelopeHead)+1, int(p[len(envelopeHead)])
	} else if pos, items = s.head(); pos < 0 {
		return -1
	}
	if items != 2 && items != 3 {
		return s.failf(pos, ErrEnvelope, "content has %d items, want 2 or 3", items)
	}

	// The name. An empty one can be no event's.
	start := pos
	if pos = s.tag(pos, tagString, "event name"); pos < 0 {
		return -1
	}
	var n int
	if pos, n = s.length(pos); pos < 0 {
		return -1
	}
	if n == 0 {
		return s.failf(start, ErrEnvelope, "event name is empty")
	}
	s.name = s.p[pos : pos+n]
	pos += n

	// The arguments.
	if pos = s.tag(pos, tagList, "arguments"); pos < 0 {
		return -1
	}
	if pos, n = s.count(pos, 1); pos < 0 {
		return -1
	}
	if pos = s.values(pos, n, 3); pos < 0 {
		return -1
	}

	if items == 3 {
		if pos = s.metadata(pos); pos < 0 {
			return -1
		}
	}
	if pos != len(s.p) {
		return s.failf(pos, ErrTrailing, "%d bytes", len(s.p)-pos)
	}
	return pos
}

// head reads an envelope that does not start in the usual bytes: a wrong one, or one with padded counts.
func (s *binScan) head() (pos, items int) {
	if pos = s.tag(0, tagList, "event"); pos < 0 {
		return -1, 0
	}
	at := pos
	if pos, items = s.varuint(pos); pos < 0 {
		return -1, 0
	}
	if items != 3 {
		return s.failf(at, ErrEnvelope, "outer list has %d items, want 3", items), 0
	}
	for _, what := range [...]string{"protocol version", "message kind"} {
		if pos = s.tag(pos, tagCount, what); pos < 0 {
			return -1, 0
		}
		if len(s.p)-pos < 8 {
			return s.fail(pos, ErrTruncated), 0
		}
		if v := binary.BigEndian.Uint64(s.p[pos:]); v != 1 {
			return s.failf(pos, ErrEnvelope, "%s is %d, want 1", what, v), 0
		}
		pos += 8
	}
	if pos = s.tag(pos, tagList, "content"); pos < 0 {
		return -1, 0
	}
	return s.varuint(pos)
}

func (s *binScan) metadata(pos int) int {
	if pos = s.tag(pos, tagList, "metadata"); pos < 0 {
		return -1
	}
	var n int
	if pos, n = s.count(pos, 1); pos < 0 {
		return -1
	}
	for ; n > 0; n-- {
		if pos = s.tag(pos, tagList, "metadata entry"); pos < 0 {
			return -1
		}
		at, items := pos, 0
		if pos, items = s.count(pos, 1); pos < 0 {
			return -1
		}
		if items != 2 {
			return s.failf(at, ErrEnvelope, "metadata entry has %d items, want 2", items)
		}
		if pos = s.tag(pos, tagCount, "metadata id"); pos < 0 {
			return -1
		}
		if len(s.p)-pos < 8 {
			return s.fail(pos, ErrTruncated)
		}
		if pos = s.values(pos+8, 1, 5); pos < 0 {
			return -1
		}
	}
	return pos
}

// tag checks that the value at pos has the given tag and returns the position of its body.
func (s *binScan) tag(pos int, want byte, what string) int {
	if pos >= len(s.p) {
		return s.fail(pos, ErrTruncated)
	}
	if got := s.p[pos]; got != want {
		if got >= numTags {
			return s.failf(pos, ErrTag, "tag %#02x", got)
		}
		return s.failf(pos, ErrEnvelope, "%s has tag %#02x, want %#02x", what, got, want)
	}
	return pos + 1
}

// varuint reads a length or count. Broker's reader has no limit on the number of bytes and shifts by more than the
// width of its type at the sixth.
func (s *binScan) varuint(pos int) (next, v int) {
	p := s.p
	if pos < len(p) && p[pos] < 0x80 {
		return pos + 1, int(p[pos])
	}
	var x uint64
	for i := 0; i < 5; i++ {
		if pos+i >= len(p) {
			return s.fail(pos, ErrTruncated), 0
		}
		b := p[pos+i]
		x |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if x > math.MaxUint32 || x > math.MaxInt {
				return s.failf(pos, ErrVaruint, "%d", x), 0
			}
			return pos + i + 1, int(x)
		}
	}
	return s.failf(pos, ErrVaruint, "more than 5 bytes"), 0
}

// length reads the length of a string whose bytes must follow.
func (s *binScan) length(pos int) (next, n int) {
	at := pos
	if pos, n = s.varuint(pos); pos < 0 {
		return -1, 0
	}
	if n > len(s.p)-pos {
		return s.failf(at, ErrTruncated, "string of %d bytes, %d left", n, len(s.p)-pos), 0
	}
	return pos, n
}

// count reads the number of elements of a container, each of which takes at least size bytes.
func (s *binScan) count(pos, size int) (next, n int) {
	at := pos
	if pos, n = s.varuint(pos); pos < 0 {
		return -1, 0
	}
	if n > (len(s.p)-pos)/size {
		return s.failf(at, ErrCount, "%d elements, %d bytes left", n, len(s.p)-pos), 0
	}
	if s.budget -= n * size; s.budget < 0 {
		return s.failf(at, ErrTooLarge, "more than %d values in %d bytes", MaxValues(len(s.p)), len(s.p)), 0
	}
	return pos, n
}

// values checks n values that start at pos and lie at the given depth.
func (s *binScan) values(pos, n, depth int) int {
	if depth > MaxDepth {
		if n == 0 {
			return pos
		}
		return s.failf(pos, ErrDepth, "more than %d levels", MaxDepth)
	}
	p := s.p
	for ; n > 0; n-- {
		if pos >= len(p) {
			return s.fail(pos, ErrTruncated)
		}
		start := pos
		tag := p[pos]
		pos++
		if tag >= numTags {
			return s.failf(start, ErrTag, "tag %#02x", tag)
		}
		if size := fixedSize[tag]; size >= 0 {
			if int(size) > len(p)-pos {
				return s.fail(start, ErrTruncated)
			}
			switch tag {
			case tagPort:
				// Broker stops here as well; what it does not stop at is what comes next.
				if p[pos+2] > 3 {
					return s.failf(start, ErrPort, "protocol %d", p[pos+2])
				}
			case tagSubnet:
				// Broker keeps the length unchecked, and subtracts 96 from that of an IPv4 one in 8 bits. Zeek reports
				// an error for what comes out and goes on with a prefix of length 0, which matches everything.
				if length := p[pos+16]; length > 128 || length < 96 && string(p[pos:pos+12]) == v4Prefix {
					return s.failf(start, ErrSubnet, "prefix length %d", length)
				}
			}
			pos += int(size)
			continue
		}
		var k int
		switch tag {
		case tagString, tagEnum:
			if pos < len(p) && p[pos] < 0x80 {
				k = int(p[pos])
				pos++
				if k > len(p)-pos {
					return s.failf(start, ErrTruncated, "string of %d bytes, %d left", k, len(p)-pos)
				}
			} else if pos, k = s.length(pos); pos < 0 {
				return -1
			}
			pos += k
		case tagTable:
			if pos, k = s.count(pos, 2); pos < 0 {
				return -1
			}
			if pos = s.values(pos, 2*k, depth+1); pos < 0 {
				return -1
			}
		default: // tagSet, tagList
			if pos, k = s.count(pos, 1); pos < 0 {
				return -1
			}
			body := pos
			if pos = s.values(pos, k, depth+1); pos < 0 {
				return -1
			}
			if tag == tagList && k == 2 && p[body] == tagString && !s.opaque(body) {
				return s.fail(start, ErrOpaque)
			}
		}
	}
	return pos
}

func quote(s string) string { return strconv.Quote(s) }
