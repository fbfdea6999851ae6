// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zeekzmq/zeek-zeromq/go/event"
)

// The text of values, which sub prints and pub reads; what is printed reads as
// the same value. docs/tools/pub.md describes it for users.
//
//	T F                    bool          192.0.2.1 2001:db8::1     addr
//	7                      count         10.0.0.0/8 2001:db8::/32  subnet
//	+7 -7                  int           53/udp                    port
//	1.5 1e9 +Inf NaN       double        2026-01-02T15:04:05.5Z    time
//	"text\n\xff"           string        1m30s 500ms               interval
//	Notice::LOG            enum          -                         unset
//	[1, "a", -]            vector, record and all else that is a list
//	{1, 2} {}              set
//	{1 -> "a"} {->}        table
//
// A name that would read as something else is enum(a::b), or enum("...").

// appendText appends the text of a value.
func appendText(b []byte, v event.Value) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, '-')
	case bool:
		if v {
			return append(b, 'T')
		}
		return append(b, 'F')
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case int64:
		if v >= 0 {
			b = append(b, '+')
		}
		return strconv.AppendInt(b, v, 10)
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if strings.Trim(text, "-0123456789") == "" {
			text += ".0"
		}
		return append(b, text...)
	case string:
		return strconv.AppendQuote(b, v)
	case netip.Addr:
		return v.AppendTo(b)
	case netip.Prefix:
		return v.AppendTo(b)
	case event.Port:
		return append(b, v.String()...)
	case time.Time:
		return v.AppendFormat(b, time.RFC3339Nano)
	case time.Duration:
		return append(b, v.String()...)
	case event.Enum:
		if w, err := parseBare(string(v)); err == nil && w == event.Value(v) && strings.IndexFunc(string(v), endsBare) < 0 {
			return append(b, v...)
		}
		if strings.ContainsAny(string(v), `)"`) || harmless(string(v)) != string(v) {
			return fmt.Appendf(b, "enum(%q)", v)
		}
		return fmt.Appendf(b, "enum(%s)", v)
	case event.List:
		return appendTexts(b, '[', v, ']')
	case event.Set:
		return appendTexts(b, '{', v, '}')
	case event.Table:
		if len(v) == 0 {
			return append(b, "{->}"...)
		}
		b = append(b, '{')
		for i, p := range v {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendText(b, p.Key)
			b = append(b, " -> "...)
			b = appendText(b, p.Value)
		}
		return append(b, '}')
	}
	return fmt.Appendf(b, "%v", v)
}

func appendTexts(b []byte, open byte, values []event.Value, end byte) []byte {
	b = append(b, open)
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendText(b, v)
	}
	return append(b, end)
}

func endsBare(r rune) bool { return strings.ContainsRune(",[]{}()\" \t\n", r) }

// parseBare reads a value that is neither a string nor a container.
func parseBare(s string) (event.Value, error) {
	switch s {
	case "":
		return nil, fmt.Errorf("a value is missing")
	case "T":
		return true, nil
	case "F":
		return false, nil
	case "-":
		return nil, nil
	}
	digits := strings.Trim(s, "0123456789") == ""
	if digits {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is out of range for a count", s)
		}
		return n, nil
	}
	if (s[0] == '+' || s[0] == '-') && strings.Trim(s[1:], "0123456789") == "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is out of range for an int", s)
		}
		return n, nil
	}
	if p, err := event.ParsePort(s); err == nil {
		return p, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return a, nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	if d, err := parseInterval(s); err == nil {
		return d, nil
	}
	first := s[0] == '+' || s[0] == '-' || s[0] == '.' || s[0] >= '0' && s[0] <= '9'
	if first || s == "NaN" {
		if f, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "xX_") {
			return f, nil
		}
		return nil, fmt.Errorf("%s is no value", s)
	}
	if strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:") == "" {
		return event.Enum(s), nil
	}
	return nil, fmt.Errorf("%s is no value; a string is in quotes", s)
}

// parseInterval reads Go's durations, and Zeek's units.
func parseInterval(s string) (time.Duration, error) {
	number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	unit := map[string]string{
		"usec": "us", "usecs": "us", "msec": "ms", "msecs": "ms", "sec": "s", "secs": "s", "min": "m", "mins": "m", "hr": "h", "hrs": "h",
	}[s[len(number):]]
	if unit != "" {
		s = number + unit
	}
	return time.ParseDuration(s)
}

// parser reads the text of values.
type parser struct {
	text  string
	depth int
}

// parseArg reads an argument: the text of a value, or "type:value".
func parseArg(s string) (event.Value, error) {
	if kind, rest, ok := strings.Cut(s, ":"); ok {
		if parse := typed[kind]; parse != nil {
			v, err := parse(rest)
			if err != nil {
				return nil, fmt.Errorf("%q is no %s", rest, kind)
			}
			return v, nil
		}
	}
	p := parser{text: s}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if p.blanks(); p.text != "" {
		return nil, fmt.Errorf("%q after the value", p.text)
	}
	return v, nil
}

var typed = map[string]func(string) (event.Value, error){
	"string": func(s string) (event.Value, error) { return s, nil },
	"enum":   func(s string) (event.Value, error) { return event.Enum(s), nil },
	"bool":   func(s string) (event.Value, error) { return strconv.ParseBool(s) },
	"count":  func(s string) (event.Value, error) { return strconv.ParseUint(s, 10, 64) },
	"int":    func(s string) (event.Value, error) { return strconv.ParseInt(s, 10, 64) },
	"double": func(s string) (event.Value, error) { return strconv.ParseFloat(s, 64) },
	"addr":   func(s string) (event.Value, error) { return netip.ParseAddr(s) },
	"subnet": func(s string) (event.Value, error) {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	},
	"port": func(s string) (event.Value, error) { return event.ParsePort(s) },
	"time": func(s string) (event.Value, error) {
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<33 {
			whole, part := math.Modf(f)
			return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC(), nil
		}
		return time.Parse(time.RFC3339Nano, s)
	},
	"interval": func(s string) (event.Value, error) {
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<33 {
			return time.Duration(math.Round(f * 1e9)), nil
		}
		return parseInterval(s)
	},
	"pattern": func(s string) (event.Value, error) {
		p := event.NewPattern(s)
		return event.List{p.Exact, p.Anywhere}, nil
	},
}

func (p *parser) blanks() { p.text = strings.TrimLeft(p.text, " \t\n") }

// take takes a token, if it is next.
func (p *parser) take(token string) bool {
	p.blanks()
	rest, ok := strings.CutPrefix(p.text, token)
	if ok {
		p.text = rest
	}
	return ok
}

func (p *parser) value() (event.Value, error) {
	if p.depth++; p.depth > event.MaxDepth {
		return nil, fmt.Errorf("nested more than %d deep", event.MaxDepth)
	}
	defer func() { p.depth-- }()

	switch {
	case p.take("["):
		list := event.List{}
		err := p.elements("]", func() error {
			v, err := p.value()
			list = append(list, v)
			return err
		})
		return list, err
	case p.take("{"):
		return p.setOrTable()
	case p.take("enum("):
		if strings.HasPrefix(p.text, `"`) {
			name, err := p.quoted()
			if err == nil && !p.take(")") {
				err = fmt.Errorf("enum(%q lacks its end", name)
			}
			return event.Enum(name), err
		}
		name, rest, ok := strings.Cut(p.text, ")")
		if !ok {
			return nil, fmt.Errorf("enum(%s lacks its end", p.text)
		}
		p.text = rest
		return event.Enum(name), nil
	case strings.HasPrefix(p.text, `"`):
		return p.quoted()
	}
	end := strings.IndexFunc(p.text, endsBare)
	if end < 0 {
		end = len(p.text)
	}
	word := p.text[:end]
	p.text = p.text[end:]
	return parseBare(word)
}

// quoted reads a string in quotes.
func (p *parser) quoted() (string, error) {
	quoted, err := strconv.QuotedPrefix(p.text)
	if err != nil {
		return "", fmt.Errorf("%s is no string in quotes", p.text)
	}
	p.text = p.text[len(quoted):]
	return strconv.Unquote(quoted)
}

// elements reads what is separated by commas, up to the end.
func (p *parser) elements(end string, element func() error) error {
	for first := true; !p.take(end); first = false {
		if p.blanks(); p.text == "" {
			return fmt.Errorf("%q is missing at the end", end)
		}
		if !first && !p.take(",") {
			return fmt.Errorf("%q where \",\" or %q should be", p.text, end)
		}
		if err := element(); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) setOrTable() (event.Value, error) {
	set, table := event.Set{}, event.Table{}
	if p.take("->") {
		if !p.take("}") {
			return nil, fmt.Errorf("%q after {->", p.text)
		}
		return table, nil
	}
	err := p.elements("}", func() error {
		key, err := p.value()
		if err != nil {
			return err
		}
		if !p.take("->") {
			set = append(set, key)
			return nil
		}
		v, err := p.value()
		table = append(table, event.Pair{Key: key, Value: v})
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(table) == 0:
		return set, nil
	case len(set) > 0:
		return nil, fmt.Errorf("some elements of a table have no \"->\"")
	}
	return table, nil
}

// jsonValue makes of a value what encoding/json turns into plain JSON: types
// that JSON lacks are strings, sets are arrays, tables are arrays of pairs, times
// are RFC 3339, intervals are seconds.
func jsonValue(v event.Value) any {
	switch v := v.(type) {
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	case string:
		return jsonString(v)
	case event.Enum:
		return jsonString(string(v))
	case netip.Addr, netip.Prefix, event.Port:
		return fmt.Sprint(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case time.Duration:
		return json.Number(strconv.FormatFloat(v.Seconds(), 'f', -1, 64))
	case event.List:
		return jsonValues(v)
	case event.Set:
		return jsonValues(v)
	case event.Table:
		pairs := make([]any, len(v))
		for i, p := range v {
			pairs[i] = []any{jsonValue(p.Key), jsonValue(p.Value)}
		}
		return pairs
	}
	return v
}

func jsonValues(values []event.Value) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = jsonValue(v)
	}
	return out
}

// jsonString writes bytes that are not UTF-8 as \xNN, as Zeek's JSON logs do.
func jsonString(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}
