// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"
)

// encoder writes the parts that differ between the formats.
type encoder interface {
	scalar(dst []byte, v Value) []byte // a canonical value that is no container
	open(dst []byte, tag byte, n int) []byte
	pair(dst []byte) []byte // before a key
	mid(dst []byte) []byte  // between key and value
	next(dst []byte) []byte // between two elements
	endPair(dst []byte) []byte
	close(dst []byte) []byte
}

// appendValue appends a value of any type that ToValue takes. depth is the value's.
func appendValue(enc encoder, dst []byte, v Value, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return dst, &SyntaxError{Err: ErrDepth, Detail: fmt.Sprintf("more than %d levels", MaxDepth)}
	}
	var err error
	switch x := v.(type) {
	case List:
		dst = enc.open(dst, tagList, len(x))
		for i, y := range x {
			if i > 0 {
				dst = enc.next(dst)
			}
			if dst, err = appendValue(enc, dst, y, depth+1); err != nil {
				return dst, err
			}
		}
		return enc.close(dst), nil
	case Set:
		if x, err = canonicalSet(x, depth); err != nil {
			return dst, err
		}
		dst = enc.open(dst, tagSet, len(x))
		for i, y := range x {
			if i > 0 {
				dst = enc.next(dst)
			}
			if dst, err = appendValue(enc, dst, y, depth+1); err != nil {
				return dst, err
			}
		}
		return enc.close(dst), nil
	case Table:
		if x, err = canonicalTable(x, depth); err != nil {
			return dst, err
		}
		dst = enc.open(dst, tagTable, len(x))
		for i, y := range x {
			if i > 0 {
				dst = enc.next(dst)
			}
			dst = enc.pair(dst)
			if dst, err = appendValue(enc, dst, y.Key, depth+1); err != nil {
				return dst, err
			}
			dst = enc.mid(dst)
			if dst, err = appendValue(enc, dst, y.Value, depth+1); err != nil {
				return dst, err
			}
			dst = enc.endPair(dst)
		}
		return enc.close(dst), nil
	case nil, bool, uint64, int64, float64, Enum:
		return enc.scalar(dst, v), nil
	case string:
		if len(x) > MaxPayload {
			return dst, rangeError("string of %d bytes", len(x))
		}
		return enc.scalar(dst, v), nil
	}
	// The rest is either made canonical or, being it, checked for its range.
	c, err := toValue(v, fieldOptions{}, depth)
	if err != nil {
		return dst, err
	}
	if rank(c) >= tagSet {
		return appendValue(enc, dst, c, depth)
	}
	return enc.scalar(dst, c), nil
}

// The ends of what 64 bits of nanoseconds can hold, in full years.
const minYear, maxYear = 1678, 2261

// canonicalTime returns t in UTC, or an error if it does not fit the wire.
func canonicalTime(t time.Time) (time.Time, error) {
	t = t.UTC().Round(0)
	if y := t.Year(); y < minYear || y > maxYear {
		return t, rangeError("time %v, years are %d to %d", t, minYear, maxYear)
	}
	return t, nil
}

func canonicalAddr(a netip.Addr) (netip.Addr, error) {
	if !a.IsValid() {
		return a, rangeError("invalid address")
	}
	if a.Zone() != "" {
		return a, rangeError("address %v has a zone", a)
	}
	return a.Unmap(), nil
}

func canonicalPrefix(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, rangeError("invalid subnet")
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			// Its network address is not an IPv4 one, and Zeek would send that.
			return p.Masked(), nil
		}
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96), nil
	}
	return p, nil
}

type binEncoder struct{}

func appendVaruint(dst []byte, n int) []byte {
	return binary.AppendUvarint(dst, uint64(n))
}

func (binEncoder) scalar(dst []byte, v Value) []byte {
	dst = append(dst, rank(v))
	switch v := v.(type) {
	case bool:
		if v {
			return append(dst, 1)
		}
		return append(dst, 0)
	case uint64:
		return binary.BigEndian.AppendUint64(dst, v)
	case int64:
		return binary.BigEndian.AppendUint64(dst, uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64(dst, realToWire(v))
	case string:
		return append(appendVaruint(dst, len(v)), v...)
	case Enum:
		return append(appendVaruint(dst, len(v)), v...)
	case netip.Addr:
		a := v.As16()
		return append(dst, a[:]...)
	case netip.Prefix:
		a, bits := v.Addr().As16(), v.Bits()
		if v.Addr().Is4() {
			bits += 96
		}
		return append(append(dst, a[:]...), byte(bits))
	case Port:
		return append(binary.BigEndian.AppendUint16(dst, v.Number), byte(v.Proto))
	case time.Time:
		return binary.BigEndian.AppendUint64(dst, uint64(v.UnixNano()))
	case time.Duration:
		return binary.BigEndian.AppendUint64(dst, uint64(v))
	}
	return dst
}

func (binEncoder) open(dst []byte, tag byte, n int) []byte {
	return appendVaruint(append(dst, tag), n)
}
func (binEncoder) pair(dst []byte) []byte    { return dst }
func (binEncoder) mid(dst []byte) []byte     { return dst }
func (binEncoder) next(dst []byte) []byte    { return dst }
func (binEncoder) endPair(dst []byte) []byte { return dst }
func (binEncoder) close(dst []byte) []byte   { return dst }

type jsonEncoder struct{}

func appendType(dst []byte, tag byte) []byte {
	dst = append(dst, `{"@data-type":"`...)
	dst = append(dst, dataTypeNames[tag]...)
	return append(dst, `","data":`...)
}

func (jsonEncoder) scalar(dst []byte, v Value) []byte {
	dst = appendType(dst, rank(v))
	switch v := v.(type) {
	case nil:
		dst = append(dst, "{}"...)
	case bool:
		dst = strconv.AppendBool(dst, v)
	case uint64:
		dst = strconv.AppendUint(dst, v, 10)
	case int64:
		dst = strconv.AppendInt(dst, v, 10)
	case float64:
		dst = appendReal(dst, v)
	case string:
		dst = appendQuoted(dst, v)
	case Enum:
		dst = appendQuoted(dst, string(v))
	case netip.Addr:
		dst = append(v.AppendTo(append(dst, '"')), '"')
	case netip.Prefix:
		dst = append(v.AppendTo(append(dst, '"')), '"')
	case Port:
		dst = strconv.AppendUint(append(dst, '"'), uint64(v.Number), 10)
		dst = append(append(append(dst, '/'), protocolNames[v.Proto]...), '"')
	case time.Time:
		dst = appendTime(dst, v)
	case time.Duration:
		dst = appendInterval(dst, v)
	}
	return append(dst, '}')
}

func (jsonEncoder) open(dst []byte, tag byte, _ int) []byte { return append(appendType(dst, tag), '[') }
func (jsonEncoder) pair(dst []byte) []byte                  { return append(dst, `{"key":`...) }
func (jsonEncoder) mid(dst []byte) []byte                   { return append(dst, `,"value":`...) }
func (jsonEncoder) next(dst []byte) []byte                  { return append(dst, ',') }
func (jsonEncoder) endPair(dst []byte) []byte               { return append(dst, '}') }
func (jsonEncoder) close(dst []byte) []byte                 { return append(dst, ']', '}') }

// appendReal writes what C's printf("%f") does.
func appendReal(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	}
	return strconv.AppendFloat(dst, f, 'f', 6, 64)
}

// appendQuoted escapes what Zeek escapes and no more; \v is not JSON, but Zeek reads and writes it.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '"', '\\':
			dst = append(dst, '\\')
		case '\b':
			dst, c = append(dst, '\\'), 'b'
		case '\f':
			dst, c = append(dst, '\\'), 'f'
		case '\n':
			dst, c = append(dst, '\\'), 'n'
		case '\r':
			dst, c = append(dst, '\\'), 'r'
		case '\t':
			dst, c = append(dst, '\\'), 't'
		case '\v':
			dst, c = append(dst, '\\'), 'v'
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// appendTime writes milliseconds. Zeek cuts the rest off towards 1970, and writes no fraction of seconds before it.
func appendTime(dst []byte, t time.Time) []byte {
	ns := t.UnixNano()
	dst = time.Unix(ns/1e9, 0).UTC().AppendFormat(append(dst, '"'), "2006-01-02T15:04:05")
	ms := max(ns/1e6%1000, 0)
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), '"')
}

// appendInterval writes a whole number of the largest unit among s, ms, us and ns that loses nothing.
func appendInterval(dst []byte, d time.Duration) []byte {
	n, unit := int64(d), "ns"
	for _, larger := range [...]string{"us", "ms", "s"} {
		if n%1000 != 0 {
			break
		}
		n, unit = n/1000, larger
	}
	dst = strconv.AppendInt(append(dst, '"'), n, 10)
	return append(append(dst, unit...), '"')
}
