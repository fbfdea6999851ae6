// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// The functions here look at the text of JSON data. They take what CAF's readers take and reject what would overflow
// in them (auxil/broker/caf, broker/internal/json.cc).

func isDigit(c byte) bool { return c-'0' < 10 }

func isHex(c byte) bool { return isDigit(c) || (c|0x20)-'a' < 6 }

func hexValue(c byte) rune {
	if isDigit(c) {
		return rune(c - '0')
	}
	return rune((c|0x20)-'a') + 10
}

// digits reads a number without sign from the start of text, up to max, and returns the rest.
func digits(text []byte, max uint64) (v uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(text) && isDigit(text[i]); i++ {
		d := uint64(text[i] - '0')
		if v > (max-d)/10 {
			return 0, text, false
		}
		v = v*10 + d
	}
	return v, text[i:], i > 0
}

// integer reads a whole number with a sign.
func integer(text []byte) (v int64, rest []byte, ok bool) {
	neg := len(text) > 0 && text[0] == '-'
	limit := uint64(math.MaxInt64)
	if neg {
		text = text[1:]
		limit++
	} else if len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	u, rest, ok := digits(text, limit)
	if neg {
		return -int64(u), rest, ok
	}
	return int64(u), rest, ok
}

func isInteger(text []byte, signed bool) bool {
	var rest []byte
	var ok bool
	if signed {
		_, rest, ok = integer(text)
	} else {
		_, rest, ok = digits(text, math.MaxUint64)
	}
	return ok && len(rest) == 0
}

// isAddress reports whether text could be an address; whether it is one, the reader finds out.
func isAddress(text []byte) bool {
	if len(text) < 2 || len(text) > 45 {
		return false
	}
	for _, c := range text {
		if !isHex(c) && c != ':' && c != '.' {
			return false
		}
	}
	return true
}

func isSubnet(text []byte) bool {
	for i, c := range text {
		if c == '/' {
			bits, rest, ok := digits(text[i+1:], 128)
			v4 := true
			for _, c := range text[:i] {
				v4 = v4 && c != ':'
			}
			return ok && len(rest) == 0 && !(v4 && bits > 32) && isAddress(text[:i])
		}
	}
	return false
}

// protocolNames are the names of a port's protocols in JSON, by number.
var protocolNames = [...]string{"?", "tcp", "udp", "icmp"}

// parsePort reads "443/tcp". Zeek writes "?" for the unknown protocol and reads anything else as it, too.
func parsePort(text []byte) (number uint16, proto uint8, ok bool) {
	n, rest, ok := digits(text, math.MaxUint16)
	if !ok || len(rest) < 2 || rest[0] != '/' {
		return 0, 0, false
	}
	rest = rest[1:]
	for i, name := range protocolNames {
		if string(rest) == name {
			return uint16(n), uint8(i), true
		}
	}
	return uint16(n), 0, string(rest) == "unknown"
}

func isPort(text []byte) bool {
	_, _, ok := parsePort(text)
	return ok
}

// timespanUnits are the units of a timespan in nanoseconds.
func timespanUnit(unit []byte) int64 {
	switch string(unit) {
	case "ns":
		return 1
	case "us":
		return 1e3
	case "ms":
		return 1e6
	case "s":
		return 1e9
	case "min":
		return 60e9
	case "h":
		return 3600e9
	}
	return 0
}

// parseInterval reads "500ms" into nanoseconds. CAF multiplies without a check for overflow.
func parseInterval(text []byte) (ns int64, ok bool) {
	v, rest, ok := integer(text)
	unit := timespanUnit(rest)
	if !ok || unit == 0 || v > math.MaxInt64/unit || v < math.MinInt64/unit {
		return 0, false
	}
	return v * unit, true
}

func isInterval(text []byte) bool {
	_, ok := parseInterval(text)
	return ok
}

// parseTime reads "2023-11-14T22:13:20.250", with up to nine decimals and perhaps a zone ("Z" or "+01:00"), into
// nanoseconds since 1970, UTC unless a zone says otherwise. Times outside 1678..2261 do not fit.
func parseTime(text []byte) (ns int64, ok bool) {
	// The fixed part.
	var f [6]int64 // year, month, day, hour, minute, second
	const layout = "0000-00-00T00:00:00"
	if len(text) < len(layout) {
		return 0, false
	}
	field := 0
	for i := 0; i < len(layout); i++ {
		if layout[i] != '0' {
			if text[i] != layout[i] {
				return 0, false
			}
			field++
			continue
		}
		if !isDigit(text[i]) {
			return 0, false
		}
		f[field] = f[field]*10 + int64(text[i]-'0')
	}
	if f[0] < 1678 || f[0] > 2261 || f[1] < 1 || f[1] > 12 || f[2] < 1 || f[2] > daysIn(f[0], f[1]) ||
		f[3] > 23 || f[4] > 59 || f[5] > 59 {
		return 0, false
	}
	rest := text[len(layout):]

	if len(rest) > 0 && rest[0] == '.' {
		rest = rest[1:]
		scale, n := int64(1e8), 0
		for ; n < len(rest) && n < 9 && isDigit(rest[n]); n++ {
			ns += int64(rest[n]-'0') * scale
			scale /= 10
		}
		if n == 0 {
			return 0, false
		}
		rest = rest[n:]
	}

	var zone int64
	switch {
	case len(rest) == 0 || string(rest) == "Z":
	case len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':' &&
		isDigit(rest[1]) && isDigit(rest[2]) && isDigit(rest[4]) && isDigit(rest[5]):
		zone = (int64(rest[1]-'0')*10+int64(rest[2]-'0'))*3600 + (int64(rest[4]-'0')*10+int64(rest[5]-'0'))*60
		if rest[0] == '-' {
			zone = -zone
		}
	default:
		return 0, false
	}
	secs := daysSince1970(f[0], f[1], f[2])*86400 + f[3]*3600 + f[4]*60 + f[5] - zone
	return secs*1e9 + ns, true
}

func isTime(text []byte) bool {
	_, ok := parseTime(text)
	return ok
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days of the Gregorian calendar. Years start in March, so that leap days come last.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return year*365 + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}

// unescape appends the text of a JSON string, without its quotes, to dst. Escapes must have been checked.
func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' {
			dst = append(dst, c)
			continue
		}
		i++
		switch c = text[i]; c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'v':
			c = '\v'
		case 'u':
			r := hex4(text[i+1:])
			i += 4
			if r >= 0xd800 && r < 0xdc00 && i+6 < len(text) && text[i+1] == '\\' && text[i+2] == 'u' {
				if low := hex4(text[i+3:]); low >= 0xdc00 && low < 0xe000 {
					r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

func hex4(text []byte) rune {
	return hexValue(text[0])<<12 | hexValue(text[1])<<8 | hexValue(text[2])<<4 | hexValue(text[3])
}

// namesOpaque reports whether text, the inside of a JSON string, names one of the opaque classes that trust their
// state. In JSON such values are refused: nothing sends them, since their state is seldom valid text.
func namesOpaque(text []byte) bool {
	if len(text) > 6*maxOpaqueName { // every letter as \u00xx
		return false
	}
	var buf [6 * maxOpaqueName]byte
	return opaqueClassOf(unescape(buf[:0], text)) != notOpaque
}

// short quotes the start of text for an error message.
func short(text []byte) string {
	if len(text) > 48 {
		return quote(string(text[:48])) + "..."
	}
	return quote(string(text))
}

// parseReal reads a number that has been checked; one too large for a double is an infinity.
func parseReal(text string) float64 {
	if text == "-nan" {
		return math.NaN()
	}
	f, _ := strconv.ParseFloat(text, 64)
	return f
}
