// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// What comes from the network may hold anything. Before it reaches a terminal,
// all that could move the cursor, change colours or reorder text is escaped: not
// only ASCII's control characters but those of C1 (U+009B begins a sequence like
// ESC [ does) and invisible ones. Any goroutine.

// printable is text as it is, or in quotes if it would break a line or terminal.
func printable(s string) string {
	if s == "" || strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '"' || r == unicode.ReplacementChar
	}) >= 0 {
		return strconv.Quote(s)
	}
	return s
}

// ascii is printable, and has a column for each byte.
func ascii(s string) string {
	if s == "" || strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' }) >= 0 {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// asciiText is harmless, and has a column for each byte.
func asciiText(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) < 0 {
		return s
	}
	quoted := strconv.QuoteToASCII(s)
	return quoted[1 : len(quoted)-1]
}

// harmless is text, blanks included, with what is not for a terminal escaped.
func harmless(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// harmlessJSON escapes in JSON what is not for a terminal: encoding/json does so
// for ASCII's control characters only. Strings keep their values.
func harmlessJSON(b []byte) []byte {
	escape := func(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
	if strings.IndexFunc(string(b), escape) < 0 {
		return b
	}
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case !escape(r) || r == utf8.RuneError && n == 1:
			out = append(out, b[:n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out
}
