// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"net/netip"
	"strconv"
	"unicode/utf8"

	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

// All of this file runs on the goroutines of the writers.

const hexDigits = "0123456789abcdef"

func appendHex(dst []byte, c byte) []byte {
	return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

// Classes of bytes; a class is a bit.
const (
	graphic   uint8 = 1 << iota // printable ASCII
	lineBreak                   // the control characters that JSON text keeps: \b \f \n \r \t
	tsvPlain                    // needs no look in a TSV field
	setPlain                    // needs no look in an element of a set or vector
	jsonPlain                   // needs no look in a JSON string
)

var classes = func() (t [256]uint8) {
	for c := ' '; c <= '~'; c++ {
		t[c] = graphic | tsvPlain | setPlain | jsonPlain
	}
	t['\\'] = graphic
	t['"'] &^= jsonPlain
	t[','] &^= setPlain
	for _, c := range "\b\f\n\r\t" {
		t[c] = lineBreak
	}
	return t
}()

// plainPrefix returns how many of the first bytes of s are all in the class.
func plainPrefix[T []byte | string](s T, class uint8) int {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&class == 0 {
			return i
		}
	}
	return len(s)
}

// isText reports whether s is UTF-8 without the characters that Zeek does not let through: controls but those in the
// class keep, the private use area, and the specials from U+FFF0 on.
func isText(s []byte, keep uint8) bool {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if classes[c]&(graphic|keep) == 0 {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError || r <= 0x9f || r >= 0xe000 && r <= 0xf8ff || r >= 0xfff0 && r <= 0xffff {
			return false
		}
		i += n
	}
	return true
}

// appendTSVText appends a string as Zeek's ASCII writer does with UTF-8 enabled. Backslashes, tabs and, in a set or
// vector, commas divide it into pieces. A piece that is all text stays as it is; in others, all but printable ASCII is
// escaped.
func appendTSVText(dst, s []byte, inSet bool) []byte {
	class := tsvPlain
	if inSet {
		class = setPlain
	}
	n := plainPrefix(s, class)
	if n == len(s) {
		return append(dst, s...)
	}
	for start := 0; ; {
		end := start
		for end < len(s) && s[end] != '\\' && s[end] != '\t' && !(inSet && s[end] == ',') {
			end++
		}
		piece := s[start:end]
		if isText(piece, 0) {
			dst = append(dst, piece...)
		} else {
			for _, c := range piece {
				if classes[c]&graphic != 0 {
					dst = append(dst, c)
				} else {
					dst = appendHex(dst, c)
				}
			}
		}
		if end == len(s) {
			return dst
		}
		if s[end] == '\\' {
			dst = append(dst, '\\', '\\')
		} else {
			dst = appendHex(dst, s[end])
		}
		start = end + 1
	}
}

// appendJSONText appends a string in quotes as Zeek's JSON writer does: if not all of it is text, all but printable
// ASCII and some controls is written as \xNN, with the backslash escaped once more for JSON.
func appendJSONText(dst, s []byte) []byte {
	dst = append(dst, '"')
	n := plainPrefix(s, jsonPlain)
	dst = append(dst, s[:n]...)
	if n < len(s) {
		asText := isText(s, lineBreak)
		for _, c := range s[n:] {
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case classes[c]&lineBreak != 0:
				dst = append(dst, '\\', "btn_fr"[c-'\b'])
			case classes[c]&graphic != 0 || asText:
				dst = append(dst, c)
			default:
				dst = append(dst, '\\')
				dst = appendHex(dst, c)
			}
		}
	}
	return append(dst, '"')
}

// appendCleanText appends a string as text: what appendJSONText has between the quotes, without JSON's own escapes.
func appendCleanText(dst, s []byte) []byte {
	if isText(s, lineBreak) {
		return append(dst, s...)
	}
	for _, c := range s {
		if classes[c]&(graphic|lineBreak) != 0 {
			dst = append(dst, c)
		} else {
			dst = appendHex(dst, c)
		}
	}
	return dst
}

// appendAddr appends an address as Zeek does, which is as in RFC 5952 but for those that can stand for an
// IPv4 address, ::a.b.c.d, ::ffff:a.b.c.d and ::ffff:0:a.b.c.d.
func appendAddr(dst []byte, a netip.Addr) []byte {
	if a.Is4() {
		return a.AppendTo(dst)
	}
	b := a.As16()
	zeros := 0 // words of the run at the start
	for zeros < 8 && b[2*zeros] == 0 && b[2*zeros+1] == 0 {
		zeros++
	}
	word := func(i int) int { return int(b[2*i])<<8 | int(b[2*i+1]) }
	if zeros == 6 || zeros == 5 && word(5) == 0xffff ||
		zeros == 4 && word(4) == 0xffff && word(5) == 0 {
		dst = append(dst, "::"...)
		switch zeros {
		case 5:
			dst = append(dst, "ffff:"...)
		case 4:
			dst = append(dst, "ffff:0:"...)
		}
		return netip.AddrFrom4([4]byte(b[12:])).AppendTo(dst)
	}
	return a.AppendTo(dst)
}

func appendSubnet(dst []byte, p netip.Prefix) []byte {
	dst = append(appendAddr(dst, p.Addr()), '/')
	return strconv.AppendInt(dst, int64(p.Bits()), 10)
}

// What Zeek writes by default for a field that is unset or empty.
const (
	unsetField = "-"
	emptyField = "(empty)"
)

// tsv writes what Zeek's ASCII writer does with its default options.
type tsv struct{}

func (tsv) header(dst []byte, path string, fields []logbatch.Field, opened string) []byte {
	dst = append(dst, "#separator \\x09\n#set_separator\t,\n#empty_field\t"+emptyField+"\n#unset_field\t"+unsetField+"\n#path\t"...)
	for i := 0; i < len(path); i++ {
		if c := path[i]; classes[c]&graphic != 0 && c != ' ' {
			dst = append(dst, c)
		} else {
			dst = appendHex(dst, c)
		}
	}
	dst = append(append(dst, "\n#open\t"...), opened...)
	dst = append(dst, "\n#fields"...)
	for _, f := range fields {
		dst = append(append(dst, '\t'), f.Name...)
	}
	dst = append(dst, "\n#types"...)
	for _, f := range fields {
		dst = append(append(dst, '\t'), f.TypeName()...)
	}
	return append(dst, '\n')
}

func (tsv) footer(dst []byte, closed string) []byte {
	return append(append(append(dst, "#close\t"...), closed...), '\n')
}

func (tsv) row(dst []byte, row []logbatch.Value, elements *[]logbatch.Value) []byte {
	start := len(dst)
	for i, v := range row {
		if i > 0 {
			dst = append(dst, '\t')
		}
		dst = appendTSVValue(dst, v, false, elements)
	}
	dst = append(dst, '\n')
	if dst[start] == '#' {
		// It would look like a header.
		dst = append(dst, "..."...)
		copy(dst[start+4:], dst[start+1:])
		copy(dst[start:], `\x23`)
	}
	return dst
}

func appendTSVValue(dst []byte, v logbatch.Value, inSet bool, elements *[]logbatch.Value) []byte {
	if !v.IsSet() {
		return append(dst, unsetField...)
	}
	switch v.Type() {
	case logbatch.Bool:
		if v.Bool() {
			return append(dst, 'T')
		}
		return append(dst, 'F')
	case logbatch.Int:
		return strconv.AppendInt(dst, v.Int(), 10)
	case logbatch.Count:
		return strconv.AppendUint(dst, v.Count(), 10)
	case logbatch.Port:
		n, _ := v.Port()
		return strconv.AppendUint(dst, uint64(n), 10)
	case logbatch.Addr:
		return appendAddr(dst, v.Addr())
	case logbatch.Subnet:
		return appendSubnet(dst, v.Subnet())
	case logbatch.Double:
		return appendDouble(dst, v.Float())
	case logbatch.Time, logbatch.Interval:
		return appendFixed(dst, v.Float())
	case logbatch.String, logbatch.Enum, logbatch.File, logbatch.Func:
		s := v.Bytes()
		switch {
		case len(s) == 0:
			return append(dst, emptyField...)
		case string(s) == unsetField, string(s) == emptyField:
			return appendTSVText(appendHex(dst, s[0]), s[1:], inSet)
		}
		return appendTSVText(dst, s, inSet)
	case logbatch.Set, logbatch.Vector:
		if v.Len() == 0 {
			return append(dst, emptyField...)
		}
		// Sets in sets go on the same stack; an append may move it.
		base := len(*elements)
		*elements = v.AppendElements(*elements)
		for i, n := base, len(*elements); i < n; i++ {
			if i > base {
				dst = append(dst, ',')
			}
			dst = appendTSVValue(dst, (*elements)[i], true, elements)
		}
		*elements = (*elements)[:base]
	}
	return dst
}

// json writes what Zeek's ASCII writer does with LogAscii::use_json and else its default options.
type json struct {
	keys [][]byte // "name": for every field
}

func newJSON(fields []logbatch.Field) *json {
	j := &json{}
	for _, f := range fields {
		key := []byte{'"'}
		for i := 0; i < len(f.Name); i++ {
			c := f.Name[i]
			switch {
			case c == '"' || c == '\\':
				key = append(key, '\\', c)
			case classes[c]&lineBreak != 0:
				key = append(key, '\\', "btn_fr"[c-'\b'])
			case c < ' ':
				key = append(key, "\\u00"...)
				key = append(key, "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
			default:
				key = append(key, c)
			}
		}
		j.keys = append(j.keys, append(key, '"', ':'))
	}
	return j
}

func (*json) header(dst []byte, _ string, _ []logbatch.Field, _ string) []byte { return dst }
func (*json) footer(dst []byte, _ string) []byte                               { return dst }

func (j *json) row(dst []byte, row []logbatch.Value, elements *[]logbatch.Value) []byte {
	dst = append(dst, '{')
	first := true
	for i, v := range row {
		if !v.IsSet() {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, j.keys[i]...)
		dst = appendJSONValue(dst, v, elements)
	}
	return append(dst, '}', '\n')
}

func appendJSONValue(dst []byte, v logbatch.Value, elements *[]logbatch.Value) []byte {
	if !v.IsSet() {
		return append(dst, "null"...)
	}
	switch v.Type() {
	case logbatch.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case logbatch.Int:
		return strconv.AppendInt(dst, v.Int(), 10)
	case logbatch.Count:
		return strconv.AppendUint(dst, v.Count(), 10)
	case logbatch.Port:
		n, _ := v.Port()
		return strconv.AppendUint(dst, uint64(n), 10)
	case logbatch.Addr:
		return append(appendAddr(append(dst, '"'), v.Addr()), '"')
	case logbatch.Subnet:
		return append(appendSubnet(append(dst, '"'), v.Subnet()), '"')
	case logbatch.Double, logbatch.Time, logbatch.Interval:
		return appendJSONDouble(dst, v.Float())
	case logbatch.String, logbatch.Enum, logbatch.File, logbatch.Func:
		return appendJSONText(dst, v.Bytes())
	case logbatch.Set, logbatch.Vector:
		dst = append(dst, '[')
		base := len(*elements)
		*elements = v.AppendElements(*elements)
		for i, n := base, len(*elements); i < n; i++ {
			if i > base {
				dst = append(dst, ',')
			}
			dst = appendJSONValue(dst, (*elements)[i], elements)
		}
		*elements = (*elements)[:base]
		return append(dst, ']')
	}
	return dst
}
