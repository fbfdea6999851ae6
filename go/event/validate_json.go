// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"bytes"
	"fmt"
)

// dataType is what the "@data-type" of a JSON value says. The numbers are those of the binary tags.
type dataType = byte

// dataTypeNames are the JSON names of the types, by binary tag.
var dataTypeNames = [numTags]string{
	tagNone: "none", tagBool: "boolean", tagCount: "count", tagInt: "integer", tagReal: "real", tagString: "string",
	tagAddress: "address", tagSubnet: "subnet", tagPort: "port", tagTime: "timestamp", tagInterval: "timespan",
	tagEnum: "enum-value", tagSet: "set", tagTable: "table", tagList: "vector",
}

// dataTypeOf returns the type of a name, or numTags.
func dataTypeOf(name []byte) dataType {
	switch string(name) { // the compiler does not allocate for this conversion
	case "none":
		return tagNone
	case "boolean":
		return tagBool
	case "count":
		return tagCount
	case "integer":
		return tagInt
	case "real":
		return tagReal
	case "string":
		return tagString
	case "address":
		return tagAddress
	case "subnet":
		return tagSubnet
	case "port":
		return tagPort
	case "timestamp":
		return tagTime
	case "timespan":
		return tagInterval
	case "enum-value":
		return tagEnum
	case "set":
		return tagSet
	case "table":
		return tagTable
	case "vector":
		return tagList
	}
	return numTags
}

// jsonKind is the JSON type of a text.
type jsonKind byte

const (
	kindMissing jsonKind = iota
	kindNull
	kindBool
	kindNumber // also inf and nan, which Zeek writes
	kindString
	kindValues // an array of values, perhaps empty
	kindPairs  // an array of key and value pairs, not empty
	kindObject // any other object
)

// jsonText is a piece of JSON that has been looked at: its kind, where it lies, how many elements it has.
type jsonText struct {
	kind       jsonKind
	start, end int
	n          int
	// opaque says that this is an array of two of which the first is a string that names an opaque class.
	opaque bool
}

// role is what a value is in an event.
type role byte

const (
	roleAny   role = iota
	roleEvent      // the outermost list
	roleOne        // version and kind
	roleContent
	roleName
	roleArgs
	roleMetadata
	roleEntry
	roleID
	rolePart // the key or value of a pair
)

// child returns the role of element i of a list in role r.
func (r role) child(i int) role {
	switch {
	case r == roleEvent && i < 2:
		return roleOne
	case r == roleEvent && i == 2:
		return roleContent
	case r == roleContent && i == 0:
		return roleName
	case r == roleContent && i == 1:
		return roleArgs
	case r == roleContent && i == 2:
		return roleMetadata
	case r == roleMetadata:
		return roleEntry
	case r == roleEntry && i == 0:
		return roleID
	}
	return roleAny
}

// jsonScan walks over a JSON payload without building anything. Methods return the next position, or -1 after having
// set off, err and detail.
//
// Zeek parses the text with CAF's JSON reader, turns it into the binary format without any look at the event's shape,
// and goes on as for a binary event, with the same hazards. Two more come from JSON itself: a member given twice, of
// which Zeek takes the first and another reader may take the last, and members in an order that hides the type until
// the data has been read. The scan finds them in one pass, whatever the order.
type jsonScan struct {
	p      []byte
	budget int
	name   []byte // the event's, as it is written

	off    int
	err    error
	detail string
}

func validateJSON(payload []byte) (name []byte, err error) {
	s := jsonScan{p: payload, budget: MaxValues(len(payload))}
	if s.event() < 0 {
		return nil, &SyntaxError{Offset: s.off, Err: s.err, Detail: s.detail}
	}
	if bytes.IndexByte(s.name, '\\') >= 0 {
		return unescape(nil, s.name), nil
	}
	return s.name, nil
}

func (s *jsonScan) fail(off int, err error) int {
	s.off, s.err = off, err
	return -1
}

func (s *jsonScan) failf(off int, err error, format string, args ...any) int {
	s.detail = fmt.Sprintf(format, args...)
	return s.fail(off, err)
}

func (s *jsonScan) event() int {
	if len(s.p) > MaxPayload {
		return s.failf(0, ErrTooLarge, "%d bytes, at most %d", len(s.p), MaxPayload)
	}
	pos := s.space(0)
	if pos < len(s.p) && s.p[pos] != '{' {
		return s.failf(pos, ErrEnvelope, "not a JSON object")
	}
	var e element
	if pos = s.object(pos, 1, roleEvent, &e); pos < 0 {
		return -1
	}
	if pos = s.space(pos); pos != len(s.p) {
		return s.failf(pos, ErrTrailing, "%d bytes", len(s.p)-pos)
	}
	return pos
}

func (s *jsonScan) space(pos int) int {
	for pos < len(s.p) {
		switch s.p[pos] {
		case ' ', '\t', '\n', '\r':
			pos++
		default:
			return pos
		}
	}
	return pos
}

// next skips space and checks that the given byte follows.
func (s *jsonScan) next(pos int, want byte) int {
	if pos = s.space(pos); pos >= len(s.p) {
		return s.fail(pos, ErrTruncated)
	}
	if s.p[pos] != want {
		return s.failf(pos, ErrJSON, "found %q, want %q", s.p[pos], want)
	}
	return pos + 1
}

// The members an object can have, as bits.
const (
	memberType = 1 << iota
	memberData
	memberKey
	memberValue
	memberTopic
	memberWrapper
)

// An element is what an object turned out to be: a pair of key and value, or a value.
type element struct {
	pair bool
	typ  dataType
	data jsonText
}

// object checks the object at pos, which is a value of the given role or, with roleAny, a pair of key and value.
// depth is that of the value, or of the pair's key and value.
func (s *jsonScan) object(pos, depth int, r role, e *element) int {
	start := pos
	if depth > MaxDepth {
		return s.failf(pos, ErrDepth, "more than %d levels", MaxDepth)
	}
	if pos = s.next(pos, '{'); pos < 0 {
		return -1
	}
	var seen int
	*e = element{typ: numTags}
	var part element
	for first := true; ; first = false {
		if pos = s.space(pos); pos >= len(s.p) {
			return s.fail(pos, ErrTruncated)
		}
		if s.p[pos] == '}' && first {
			pos++
			break
		}
		at := pos
		if pos = s.str(pos); pos < 0 {
			return -1
		}
		var member int
		switch string(s.p[at+1 : pos-1]) {
		case "@data-type":
			member = memberType
		case "data":
			member = memberData
		case "key":
			member = memberKey
		case "value":
			member = memberValue
		case "topic":
			member = memberTopic
		case "type":
			member = memberWrapper
		}
		// A pair holds no pairs, and only a value's data goes a level deeper: nothing else may bring the scan back here.
		isPart := member == memberKey || member == memberValue
		if member == 0 || isPart && r != roleAny || member >= memberTopic && r != roleEvent {
			return s.failf(at, ErrData, "object has a member %s", short(s.p[at:pos]))
		}
		if seen&member != 0 {
			return s.failf(at, ErrData, "member %s given twice", s.p[at:pos])
		}
		seen |= member
		if pos = s.next(pos, ':'); pos < 0 {
			return -1
		}
		pos = s.space(pos)
		at = pos
		switch member {
		case memberType:
			if pos = s.str(pos); pos < 0 {
				return -1
			}
			if e.typ = dataTypeOf(s.p[at+1 : pos-1]); e.typ == numTags {
				return s.failf(at, ErrTag, "%s", short(s.p[at:pos]))
			}
		case memberData:
			if pos = s.text(pos, depth, r, &e.data); pos < 0 {
				return -1
			}
		case memberKey, memberValue:
			if pos = s.object(pos, depth, rolePart, &part); pos < 0 {
				return -1
			}
		default: // topic and type of the wrapper that WebSocket clients use
			if pos = s.str(pos); pos < 0 {
				return -1
			}
		}
		if pos = s.space(pos); pos >= len(s.p) {
			return s.fail(pos, ErrTruncated)
		}
		if s.p[pos] == ',' {
			pos++
			continue
		}
		if s.p[pos] != '}' {
			return s.failf(pos, ErrJSON, "found %q, want ',' or '}'", s.p[pos])
		}
		pos++
		break
	}
	if seen == memberKey|memberValue {
		e.pair = true
		return pos
	}
	if seen&memberType == 0 || seen&(memberKey|memberValue) != 0 {
		return s.failf(start, ErrData, "object is neither a value nor a pair")
	}
	if s.budget--; s.budget < 0 {
		return s.failf(start, ErrTooLarge, "more than %d values in %d bytes", MaxValues(len(s.p)), len(s.p))
	}
	if !s.check(start, e.typ, &e.data, r) {
		return -1
	}
	return pos
}

// check compares the data of a value with its type and its role.
func (s *jsonScan) check(start int, typ dataType, data *jsonText, r role) bool {
	text := s.p[data.start:data.end]
	var ok bool
	switch typ {
	case tagNone: // the data is not looked at
		ok = data.kind != kindPairs
	case tagBool:
		ok = data.kind == kindBool
	case tagCount:
		ok = data.kind == kindNumber && isInteger(text, false)
	case tagInt:
		ok = data.kind == kindNumber && isInteger(text, true)
	case tagReal:
		ok = data.kind == kindNumber
	case tagString, tagEnum:
		ok = data.kind == kindString
	case tagSet, tagList:
		ok = data.kind == kindValues
	case tagTable:
		ok = data.kind == kindPairs || data.kind == kindValues && data.n == 0
	default:
		if ok = data.kind == kindString; ok {
			text = text[1 : len(text)-1]
			switch typ {
			case tagAddress:
				ok = isAddress(text)
			case tagSubnet:
				ok = isSubnet(text)
			case tagPort:
				ok = isPort(text)
			case tagTime:
				ok = isTime(text)
			case tagInterval:
				ok = isInterval(text)
			}
		}
	}
	if !ok {
		return s.failf(start, ErrData, "%s with data %s", dataTypeNames[typ], short(text)) > 0
	}
	if typ == tagList && data.opaque {
		return s.fail(start, ErrOpaque) > 0
	}

	switch r {
	case roleEvent:
		ok = typ == tagList && data.n == 3
	case roleOne:
		ok = typ == tagCount && string(text) == "1"
	case roleContent:
		ok = typ == tagList && (data.n == 2 || data.n == 3)
	case roleName:
		if ok = typ == tagString && len(text) > 2; ok {
			s.name = text[1 : len(text)-1]
		}
	case roleArgs, roleMetadata:
		ok = typ == tagList
	case roleEntry:
		ok = typ == tagList && data.n == 2
	case roleID:
		ok = typ == tagCount
	}
	if !ok {
		return s.failf(start, ErrEnvelope, "%s, want %s", dataTypeNames[typ], r) > 0
	}
	return true
}

func (r role) String() string {
	switch r {
	case roleEvent:
		return "a vector of version, kind and content"
	case roleOne:
		return "the count 1"
	case roleContent:
		return "a vector of name, arguments and perhaps metadata"
	case roleName:
		return "the event's name"
	case roleArgs:
		return "a vector of arguments"
	case roleMetadata:
		return "a vector of metadata"
	case roleEntry:
		return "a vector of id and value"
	case roleID:
		return "a metadata id"
	}
	return "a value"
}

// text checks the data of a value.
func (s *jsonScan) text(pos, depth int, r role, t *jsonText) int {
	if pos >= len(s.p) {
		return s.fail(pos, ErrTruncated)
	}
	t.start = pos
	switch c := s.p[pos]; {
	case c == '"':
		t.kind = kindString
		pos = s.str(pos)
	case c == '[':
		pos = s.array(pos, depth+1, r, t)
	case c == '{':
		// Only the data of none is an object, and an empty one.
		t.kind = kindObject
		if pos = s.next(pos+1, '}'); pos < 0 {
			return -1
		}
	case c == 't':
		t.kind = kindBool
		pos = s.word(pos, "true")
	case c == 'f':
		t.kind = kindBool
		pos = s.word(pos, "false")
	case c == 'n' && pos+1 < len(s.p) && s.p[pos+1] == 'u':
		t.kind = kindNull
		pos = s.word(pos, "null")
	default:
		t.kind = kindNumber
		pos = s.number(pos)
	}
	t.end = pos
	return pos
}

// array checks an array whose elements are at the given depth.
func (s *jsonScan) array(pos, depth int, r role, t *jsonText) int {
	t.kind = kindValues
	pos = s.space(pos + 1)
	if pos < len(s.p) && s.p[pos] == ']' {
		return pos + 1
	}
	// Inside the loop these would be allocated: their address goes to a function that comes back here.
	var e element
	named := false
	for {
		pos = s.space(pos)
		start := pos
		if pos = s.object(pos, depth, r.child(t.n), &e); pos < 0 {
			return -1
		}
		switch {
		case t.n == 0 && e.pair:
			t.kind = kindPairs
		case e.pair != (t.kind == kindPairs):
			return s.failf(start, ErrData, "array of values and pairs")
		case t.n == 0:
			named = e.typ == tagString && namesOpaque(s.p[e.data.start+1:e.data.end-1])
		}
		t.n++
		if pos = s.space(pos); pos >= len(s.p) {
			return s.fail(pos, ErrTruncated)
		}
		switch s.p[pos] {
		case ',':
			pos++
		case ']':
			t.opaque = named && t.n == 2
			return pos + 1
		default:
			return s.failf(pos, ErrJSON, "found %q, want ',' or ']'", s.p[pos])
		}
	}
}

// str checks the string at pos. Zeek writes control characters and bytes that are not UTF-8 as they are, and an
// escape that JSON doesn't have (\v); CAF reads all of them.
func (s *jsonScan) str(pos int) int {
	if pos >= len(s.p) {
		return s.fail(pos, ErrTruncated)
	}
	if s.p[pos] != '"' {
		return s.failf(pos, ErrJSON, "found %q, want a string", s.p[pos])
	}
	for i := pos + 1; i < len(s.p); i++ {
		switch s.p[i] {
		case '"':
			return i + 1
		case '\\':
			i++
			if i >= len(s.p) {
				return s.fail(i, ErrTruncated)
			}
			switch s.p[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't', 'v':
			case 'u':
				for k := 0; k < 4; k++ {
					if i++; i >= len(s.p) {
						return s.fail(i, ErrTruncated)
					}
					if !isHex(s.p[i]) {
						return s.failf(i, ErrJSON, "bad \\u escape")
					}
				}
			default:
				return s.failf(i, ErrJSON, "unknown escape \\%c", s.p[i])
			}
		}
	}
	return s.fail(len(s.p), ErrTruncated)
}

func (s *jsonScan) word(pos int, want string) int {
	if len(s.p)-pos < len(want) || string(s.p[pos:pos+len(want)]) != want {
		return s.failf(pos, ErrJSON, "found %s, want %s", short(s.p[pos:]), want)
	}
	return pos + len(want)
}

// number checks a JSON number, or one of the words that Zeek writes for numbers JSON doesn't have.
func (s *jsonScan) number(pos int) int {
	p, i := s.p, pos
	digits := func() bool {
		from := i
		for i < len(p) && p[i]-'0' < 10 {
			i++
		}
		return i > from
	}
	if p[i] == '-' {
		i++
	}
	if i+3 <= len(p) {
		if w := string(p[i : i+3]); w == "inf" || w == "nan" {
			return i + 3
		}
	}
	if !digits() {
		return s.failf(pos, ErrJSON, "found %s", short(p[pos:]))
	}
	if i < len(p) && p[i] == '.' {
		i++
		if !digits() {
			return s.failf(pos, ErrJSON, "bad number")
		}
	}
	if i < len(p) && p[i]|0x20 == 'e' {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		if !digits() {
			return s.failf(pos, ErrJSON, "bad number")
		}
	}
	return i
}
