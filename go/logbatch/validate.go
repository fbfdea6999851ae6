// SPDX-License-Identifier: BSD-3-Clause

package logbatch

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Bounds that every reader of this package keeps.
const (
	// MaxPayload is the longest batch in bytes. Zeek takes its length as a 32-bit number.
	MaxPayload = math.MaxInt32

	// MaxDepth is how deep sets and vectors may nest. Zeek sends one level; its reader recurses without a limit.
	MaxDepth = 8

	minField = 1 + 4 + 4 + 4 + 1 // bytes of a field descriptor with an empty name
	minValue = 4 + 4 + 1         // bytes of an unset value
)

// Validate checks that payload is one complete batch that can be given to a Zeek process without harming it. It
// returns nil, or a *SyntaxError.
//
// It allocates nothing unless it fails, keeps no reference to payload, and takes time linear in its length. The bytes
// must not change between the check and their use.
//
// What a logger allocates for a valid batch is at most about ten times the batch's length. Zeek rejects some batches
// that pass, and does so cleanly: an unknown stream, writer or filter, or fields that are not those of its filter.
func Validate(payload []byte) error {
	s := scan{p: payload}
	if s.batch() < 0 {
		return &SyntaxError{Offset: s.off, Err: s.err, Detail: s.detail}
	}
	return nil
}

// scan walks over a batch without building anything. Methods return the next position, or -1 after having set off, err
// and detail.
type scan struct {
	p []byte

	off    int
	err    error
	detail string
}

func (s *scan) fail(off int, err error) int {
	s.off, s.err = off, err
	return -1
}

func (s *scan) failf(off int, err error, format string, args ...any) int {
	s.detail = fmt.Sprintf(format, args...)
	return s.fail(off, err)
}

// batch checks the whole payload.
func (s *scan) batch() int {
	if len(s.p) > MaxPayload {
		return s.failf(0, ErrTooLarge, "%d bytes, at most %d", len(s.p), MaxPayload)
	}
	// Stream, writer, filter, path. Zeek ignores failures to read them.
	pos := 0
	for i := 0; i < 4; i++ {
		if pos = s.str(pos); pos < 0 {
			return -1
		}
	}
	// Zeek allocates all field descriptors before it reads the first.
	at := pos
	pos, fields := s.count(pos, minField)
	if pos < 0 {
		return -1
	}
	first := pos
	for i := 0; i < fields; i++ {
		if pos = s.field(pos); pos < 0 {
			return -1
		}
	}
	// The types of the first fields, which mostly are all, so as not to look for them with each record.
	var types [64]Type
	known, rest := 0, first
	for ; known < fields && known < len(types); known++ {
		rest, types[known] = s.fieldType(rest)
	}
	// Zeek reserves memory for all records before it reads the first. Without fields a record takes no bytes, and
	// any number of them would fit.
	if fields == 0 {
		at = pos
	}
	pos, records := s.count(pos, minValue*max(fields, 1))
	if pos < 0 {
		return -1
	}
	if fields == 0 && records > 0 {
		return s.failf(at, ErrCount, "%d records without fields", records)
	}
	for r := 0; r < records; r++ {
		f := rest
		for i := 0; i < fields; i++ {
			var want Type
			if i < known {
				want = types[i]
			} else {
				f, want = s.fieldType(f)
			}
			if pos+minValue > len(s.p) {
				return s.fail(pos, ErrTruncated)
			}
			// A writer may go by the type in the header and read the value as something it isn't.
			if got := Type(binary.BigEndian.Uint32(s.p[pos:])); got != want {
				return s.failf(pos, ErrType, "%v in a field of type %v", got, want)
			}
			if pos = s.value(pos, 0); pos < 0 {
				return -1
			}
		}
	}
	if pos != len(s.p) {
		return s.failf(pos, ErrTrailing, "%d bytes", len(s.p)-pos)
	}
	return pos
}

// str checks a string. Zeek's reader leaves the pointer of a string it cannot read unset, and the value that holds it
// frees it all the same.
func (s *scan) str(pos int) int {
	if len(s.p)-pos < 4 {
		return s.fail(pos, ErrTruncated)
	}
	n := binary.BigEndian.Uint32(s.p[pos:])
	if n > math.MaxInt32 {
		return s.failf(pos, ErrString, "%d bytes", n)
	}
	if int(n) > len(s.p)-pos-4 {
		return s.failf(pos, ErrTruncated, "string of %d bytes, %d left", n, len(s.p)-pos-4)
	}
	return pos + 4 + int(n)
}

// count reads a number of things that take at least size bytes each.
func (s *scan) count(pos, size int) (next, n int) {
	if len(s.p)-pos < 4 {
		return s.fail(pos, ErrTruncated), 0
	}
	v := binary.BigEndian.Uint32(s.p[pos:])
	if uint64(v) > uint64((len(s.p)-pos-4)/size) {
		return s.failf(pos, ErrCount, "%d of at least %d bytes each, %d left", v, size, len(s.p)-pos-4), 0
	}
	return pos + 4, int(v)
}

func (s *scan) flag(pos int) int {
	if pos >= len(s.p) {
		return s.fail(pos, ErrTruncated)
	}
	if s.p[pos] > 1 {
		return s.failf(pos, ErrBool, "%d", s.p[pos])
	}
	return pos + 1
}

// field checks a field descriptor. Its type numbers index a table of names in Zeek when they are not what the logger
// expects, and negative ones do so outside of it.
func (s *scan) field(pos int) int {
	start := pos
	if pos = s.flag(pos); pos < 0 {
		return -1
	}
	if s.p[start] == 1 {
		if pos = s.str(pos); pos < 0 {
			return -1
		}
	}
	if pos = s.str(pos); pos < 0 {
		return -1
	}
	if len(s.p)-pos < 9 {
		return s.fail(pos, ErrTruncated)
	}
	t, sub := Type(binary.BigEndian.Uint32(s.p[pos:])), Type(binary.BigEndian.Uint32(s.p[pos+4:]))
	if !t.legal() {
		return s.failf(pos, ErrType, "field of %v", t)
	}
	if sub < 0 || sub > lastType {
		return s.failf(pos+4, ErrType, "field with elements of %v", sub)
	}
	return s.flag(pos + 8)
}

// fieldType returns the type of the field descriptor at pos, which has been checked, and the position of the next.
func (s *scan) fieldType(pos int) (next int, t Type) {
	second := s.p[pos] == 1
	pos++
	pos += 4 + int(binary.BigEndian.Uint32(s.p[pos:]))
	if second {
		pos += 4 + int(binary.BigEndian.Uint32(s.p[pos:]))
	}
	return pos + 9, Type(binary.BigEndian.Uint32(s.p[pos:]))
}

// value checks a value. Zeek accepts an unset one of any type.
func (s *scan) value(pos, depth int) int {
	p, start := s.p, pos
	if len(p)-pos < minValue {
		return s.fail(pos, ErrTruncated)
	}
	t := Type(binary.BigEndian.Uint32(p[pos:]))
	present := p[pos+8]
	pos += minValue
	if present != 1 {
		if present != 0 {
			return s.failf(pos-1, ErrBool, "%d", present)
		}
		if !t.legal() {
			return s.failf(start, ErrType, "unset value of %v", t)
		}
		return pos
	}
	switch t {
	case Bool, Int, Count, Double, Time, Interval:
		pos += 8
	case String, Enum, File, Func:
		return s.str(pos)
	case Port:
		if pos += 12; pos > len(p) {
			break
		}
		if n := binary.BigEndian.Uint64(p[pos-12:]); n > math.MaxUint16 {
			return s.failf(start, ErrPort, "number %d", n)
		}
		if proto := binary.BigEndian.Uint32(p[pos-4:]); proto > 3 {
			return s.failf(start, ErrPort, "protocol %d", proto)
		}
	case Addr:
		return s.addr(pos)
	case Subnet:
		if len(p)-pos < 2 {
			return s.fail(start, ErrTruncated)
		}
		if length := p[pos]; length > 128 || length < 96 && p[pos+1] == 4 {
			return s.failf(start, ErrSubnet, "prefix length %d", length)
		}
		return s.addr(pos + 1)
	case Set, Vector:
		if len(p)-pos < 8 {
			return s.fail(start, ErrTruncated)
		}
		n := binary.BigEndian.Uint64(p[pos:])
		pos += 8
		if n > uint64(len(p)-pos)/minValue {
			return s.failf(start, ErrCount, "%d elements, %d bytes left", n, len(p)-pos)
		}
		if depth >= MaxDepth {
			return s.failf(start, ErrDepth, "more than %d levels", MaxDepth)
		}
		for ; n > 0; n-- {
			if pos = s.value(pos, depth+1); pos < 0 {
				return -1
			}
		}
		return pos
	default:
		return s.failf(start, ErrType, "value of %v", t)
	}
	if pos > len(p) {
		return s.fail(start, ErrTruncated)
	}
	return pos
}

// addr checks an address with its family.
func (s *scan) addr(pos int) int {
	if pos >= len(s.p) {
		return s.fail(pos, ErrTruncated)
	}
	var n int
	switch s.p[pos] {
	case 4:
		n = 4
	case 6:
		n = 16
	default:
		return s.failf(pos, ErrFamily, "%d", s.p[pos])
	}
	if n > len(s.p)-pos-1 {
		return s.fail(pos, ErrTruncated)
	}
	return pos + 1 + n
}
