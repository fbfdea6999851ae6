// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// ToValue converts a Go value to a Value, sets and tables sorted as Zeek sorts them:
//
//	Values                     themselves; their containers may hold what ToValue takes
//	int, int8 .. int64         int64
//	uint, uint8 .. uint64      uint64
//	float32                    float64
//	[]byte                     string
//	slices and arrays          List
//	maps to struct{}           Set
//	other maps                 Table
//	structs                    List, one slot per field (a Zeek record, or an index of several parts)
//	nil pointers               nil
//	other pointers             what they point to
//
// Types based on these, such as `type Color string`, are converted as they are.
//
// Every exported field of a struct takes part, in order of declaration; a struct inside a struct is a record inside a
// record, also if it is embedded. A field's tag `zeek:"name,option,..."` may hold the record field's name, which is
// used in error messages only as the wire has no names, and options:
//
//	optional    the zero value stands for an unset field (pointers need no option)
//	enum        strings inside the field are enum names
//	set         the field, a slice or array, is a set
//
// The tag `zeek:"-"` leaves a field out.
//
// The error matches ErrType, ErrRange, ErrDuplicate or ErrDepth.
func ToValue(v any) (Value, error) { return toValue(v, fieldOptions{}, 1) }

// FromValue stores a Value in the variable that dst points to. It converts as ToValue does, the other way round, and
// nothing else: a count goes into unsigned integers only, an enum into an Enum or a string with the option enum. Into a
// variable of type any goes the Value itself.
//
// A struct takes the slots of a List in order and leaves more slots than it has fields alone, as Zeek does. An unset
// field becomes a nil pointer, a nil any or, with the option optional, a zero value; for other types it is an error.
//
// The error matches ErrType or ErrRange; dst may then be filled in part.
func FromValue(v Value, dst any) error {
	p := reflect.ValueOf(dst)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("%w: destination is a %T, want a pointer", ErrType, dst)
	}
	return fromValue(v, p.Elem(), fieldOptions{})
}

// Pack returns the event of the given name whose arguments are the fields of a struct; see ToValue.
func Pack(name string, args any) (*Event, error) {
	v, err := ToValue(args)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", quote(name), err)
	}
	l, ok := v.(List)
	if t := reflect.Indirect(reflect.ValueOf(args)); !ok || t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("event %s: %w: arguments are a %T, want a struct", quote(name), ErrType, args)
	}
	return &Event{Name: name, Args: l}, nil
}

// Unpack stores the arguments in the fields of the struct that args points to; see FromValue. Unlike a record's, their
// number must be that of the fields.
func (e *Event) Unpack(args any) error {
	p := reflect.ValueOf(args)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("event %s: %w: destination is a %T, want a pointer to a struct", quote(e.Name), ErrType, args)
	}
	if n := len(fieldsOf(p.Type().Elem())); n != len(e.Args) {
		return fmt.Errorf("event %s: %w: %d arguments, %T has %d fields", quote(e.Name), ErrType, len(e.Args), args, n)
	}
	if err := FromValue(List(e.Args), args); err != nil {
		return fmt.Errorf("event %s: %w", quote(e.Name), err)
	}
	return nil
}

// Scan stores the arguments in the variables that dst point to, as many as there are arguments; see FromValue. A nil
// skips an argument.
func (e *Event) Scan(dst ...any) error {
	if len(dst) != len(e.Args) {
		return fmt.Errorf("event %s: %w: %d arguments, %d destinations", quote(e.Name), ErrType, len(e.Args), len(dst))
	}
	for i, d := range dst {
		if d == nil {
			continue
		}
		if err := FromValue(e.Args[i], d); err != nil {
			return fmt.Errorf("event %s, argument %d: %w", quote(e.Name), i+1, err)
		}
	}
	return nil
}

func rangeError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRange, fmt.Sprintf(format, args...))
}

func typeError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrType, fmt.Sprintf(format, args...))
}

// fieldOptions are the options of a struct's field. Those that belong to a field's elements are handed down.
type fieldOptions struct{ optional, enum, set bool }

type fieldInfo struct {
	index int
	name  string
	fieldOptions
}

var fieldCache sync.Map // reflect.Type to []fieldInfo

// fieldsOf returns the fields of a struct that take part.
func fieldsOf(t reflect.Type) []fieldInfo {
	if fs, ok := fieldCache.Load(t); ok {
		return fs.([]fieldInfo)
	}
	var fs []fieldInfo
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("zeek")
		if !f.IsExported() || tag == "-" {
			continue
		}
		parts := strings.Split(tag, ",")
		info := fieldInfo{index: i, name: f.Name}
		if parts[0] != "" {
			info.name = parts[0]
		}
		for _, o := range parts[1:] {
			switch o {
			case "optional":
				info.optional = true
			case "enum":
				info.enum = true
			case "set":
				info.set = true
			}
		}
		fs = append(fs, info)
	}
	fieldCache.Store(t, fs)
	return fs
}

// canonical reports whether v is a Value as decoding yields it, with sets and tables sorted. depth keeps a container
// that holds itself from being followed forever.
func canonical(v Value, depth int) bool {
	if depth > MaxDepth {
		return false
	}
	switch v := v.(type) {
	case nil, bool, uint64, int64, float64, string, Enum:
		return true
	case List:
		for _, x := range v {
			if !canonical(x, depth+1) {
				return false
			}
		}
		return true
	case Set:
		for i, x := range v {
			if !canonical(x, depth+1) || i > 0 && Compare(v[i-1], x) >= 0 {
				return false
			}
		}
		return true
	case Table:
		for i, x := range v {
			if !canonical(x.Key, depth+1) || !canonical(x.Value, depth+1) || i > 0 && Compare(v[i-1].Key, x.Key) >= 0 {
				return false
			}
		}
		return true
	case Port:
		return v.Proto <= ICMP
	case netip.Addr:
		return v.IsValid() && !v.Is4In6() && v.Zone() == ""
	case netip.Prefix:
		return v.IsValid() && !v.Addr().Is4In6()
	case time.Time:
		c, err := canonicalTime(v)
		return err == nil && c == v
	case time.Duration:
		return true
	}
	return false
}

func tooDeep() error {
	return &SyntaxError{Err: ErrDepth, Detail: fmt.Sprintf("more than %d levels", MaxDepth)}
}

// canonicalSet returns a set's elements converted, in the order Zeek sends them.
func canonicalSet(s Set, depth int) (Set, error) {
	if canonical(s, depth) {
		return s, nil
	}
	out := make(Set, len(s))
	for i, x := range s {
		var err error
		if out[i], err = toValue(x, fieldOptions{}, depth+1); err != nil {
			return nil, err
		}
	}
	return sortSet(out)
}

func sortSet(s Set) (Set, error) {
	slices.SortFunc(s, Compare)
	for i := 1; i < len(s); i++ {
		if Compare(s[i-1], s[i]) == 0 {
			return nil, fmt.Errorf("%w: element %v", ErrDuplicate, s[i])
		}
	}
	return s, nil
}

// canonicalTable is canonicalSet for tables.
func canonicalTable(t Table, depth int) (Table, error) {
	if canonical(t, depth) {
		return t, nil
	}
	out := make(Table, len(t))
	for i, x := range t {
		var err error
		if out[i].Key, err = toValue(x.Key, fieldOptions{}, depth+1); err != nil {
			return nil, err
		}
		if out[i].Value, err = toValue(x.Value, fieldOptions{}, depth+1); err != nil {
			return nil, err
		}
	}
	return sortTable(out)
}

func sortTable(t Table) (Table, error) {
	slices.SortFunc(t, func(a, b Pair) int { return Compare(a.Key, b.Key) })
	for i := 1; i < len(t); i++ {
		if Compare(t[i-1].Key, t[i].Key) == 0 {
			return nil, fmt.Errorf("%w: key %v", ErrDuplicate, t[i].Key)
		}
	}
	return t, nil
}

func toValue(v any, o fieldOptions, depth int) (Value, error) {
	if depth > MaxDepth {
		return nil, tooDeep()
	}
	switch v := v.(type) {
	case nil, bool, uint64, int64, float64, time.Duration, Enum:
		return v, nil
	case string:
		if o.enum {
			return Enum(v), nil
		}
		return v, nil
	case time.Time:
		return canonicalTime(v)
	case netip.Addr:
		return canonicalAddr(v)
	case netip.Prefix:
		return canonicalPrefix(v)
	case Port:
		if v.Proto > ICMP {
			return nil, rangeError("port protocol %d", v.Proto)
		}
		return v, nil
	case List:
		if canonical(v, depth) {
			return v, nil
		}
	case Set:
		return canonicalSet(v, depth)
	case Table:
		return canonicalTable(v, depth)
	}

	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Bool:
		return rv.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return rv.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return rv.Uint(), nil
	case reflect.Float32, reflect.Float64:
		return rv.Float(), nil
	case reflect.String:
		if o.enum {
			return Enum(rv.String()), nil
		}
		return rv.String(), nil
	case reflect.Pointer:
		if rv.IsNil() {
			return nil, nil
		}
		// A pointer is no level of its own, but one that leads back to itself must end somewhere.
		return toValue(rv.Elem().Interface(), o, depth+1)
	case reflect.Slice, reflect.Array:
		if rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8 {
			return string(rv.Bytes()), nil
		}
		out := make([]Value, rv.Len())
		for i := range out {
			var err error
			if out[i], err = toValue(rv.Index(i).Interface(), fieldOptions{enum: o.enum}, depth+1); err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
		}
		if o.set {
			return sortSet(out)
		}
		return List(out), nil
	case reflect.Map:
		isSet := rv.Type().Elem() == reflect.TypeOf(struct{}{})
		keys := make(Set, 0, rv.Len())
		pairs := make(Table, 0, rv.Len())
		for it := rv.MapRange(); it.Next(); {
			k, err := toValue(it.Key().Interface(), fieldOptions{enum: o.enum}, depth+1)
			if err != nil {
				return nil, fmt.Errorf("key %v: %w", it.Key(), err)
			}
			if isSet {
				keys = append(keys, k)
				continue
			}
			x, err := toValue(it.Value().Interface(), fieldOptions{enum: o.enum}, depth+1)
			if err != nil {
				return nil, fmt.Errorf("key %v: %w", it.Key(), err)
			}
			pairs = append(pairs, Pair{k, x})
		}
		if isSet {
			return sortSet(keys)
		}
		return sortTable(pairs)
	case reflect.Struct:
		fs := fieldsOf(rv.Type())
		out := make(List, len(fs))
		for i, f := range fs {
			fv := rv.Field(f.index)
			if f.optional && fv.IsZero() {
				continue
			}
			var err error
			if out[i], err = toValue(fv.Interface(), f.fieldOptions, depth+1); err != nil {
				return nil, fmt.Errorf("field %s: %w", f.name, err)
			}
		}
		return out, nil
	}
	return nil, typeError("no event value for a %T", v)
}

// typeName names the type of a Value for error messages.
func typeName(v Value) string {
	if r := rank(v); r < numTags {
		return dataTypeNames[r]
	}
	return fmt.Sprintf("%T", v)
}

func fromValue(v Value, dst reflect.Value, o fieldOptions) error {
	t := dst.Type()
	if t.Kind() == reflect.Interface && t.NumMethod() == 0 {
		if v == nil {
			dst.SetZero()
		} else {
			dst.Set(reflect.ValueOf(v))
		}
		return nil
	}
	if t.Kind() == reflect.Pointer {
		if v == nil {
			dst.SetZero()
			return nil
		}
		p := reflect.New(t.Elem())
		if err := fromValue(v, p.Elem(), o); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	if v == nil {
		if !o.optional {
			return typeError("unset, but %v is neither a pointer nor optional", t)
		}
		dst.SetZero()
		return nil
	}
	mismatch := func() error { return typeError("cannot store a %s in a %v", typeName(v), t) }

	// The types of Values themselves.
	switch dst.Addr().Interface().(type) {
	case *netip.Addr, *netip.Prefix, *Port, *time.Time, *time.Duration, *Enum, *Set, *Table, *List:
		if reflect.TypeOf(v) != t {
			return mismatch()
		}
		dst.Set(reflect.ValueOf(v))
		return nil
	}

	switch t.Kind() {
	case reflect.Bool:
		if x, ok := v.(bool); ok {
			dst.SetBool(x)
			return nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if x, ok := v.(int64); ok {
			if dst.OverflowInt(x) {
				return rangeError("%d does not fit a %v", x, t)
			}
			dst.SetInt(x)
			return nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if x, ok := v.(uint64); ok {
			if dst.OverflowUint(x) {
				return rangeError("%d does not fit a %v", x, t)
			}
			dst.SetUint(x)
			return nil
		}
	case reflect.Float32, reflect.Float64:
		if x, ok := v.(float64); ok {
			if dst.OverflowFloat(x) && !math.IsInf(x, 0) {
				return rangeError("%v does not fit a %v", x, t)
			}
			dst.SetFloat(x)
			return nil
		}
	case reflect.String:
		switch x := v.(type) {
		case string:
			if !o.enum {
				dst.SetString(x)
				return nil
			}
		case Enum:
			if o.enum {
				dst.SetString(string(x))
				return nil
			}
		}
	case reflect.Slice:
		if x, ok := v.(string); ok && t.Elem().Kind() == reflect.Uint8 {
			dst.SetBytes([]byte(x))
			return nil
		}
		xs, ok := elements(v, o.set)
		if !ok {
			break
		}
		out := reflect.MakeSlice(t, len(xs), len(xs))
		if err := fromList(xs, out, o); err != nil {
			return err
		}
		dst.Set(out)
		return nil
	case reflect.Array:
		xs, ok := elements(v, o.set)
		if !ok {
			break
		}
		if len(xs) != t.Len() {
			return rangeError("%d elements for a %v", len(xs), t)
		}
		return fromList(xs, dst, o)
	case reflect.Map:
		return fromMap(v, dst, o, mismatch)
	case reflect.Struct:
		xs, ok := v.(List)
		if !ok {
			break
		}
		fs := fieldsOf(t)
		if len(xs) < len(fs) {
			return typeError("record of %d fields for the %d of %v", len(xs), len(fs), t)
		}
		for i, f := range fs {
			if err := fromValue(xs[i], dst.Field(f.index), f.fieldOptions); err != nil {
				return fmt.Errorf("field %s: %w", f.name, err)
			}
		}
		return nil
	}
	return mismatch()
}

func elements(v Value, set bool) ([]Value, bool) {
	if set {
		s, ok := v.(Set)
		return s, ok
	}
	l, ok := v.(List)
	return l, ok
}

func fromList(xs []Value, dst reflect.Value, o fieldOptions) error {
	for i, x := range xs {
		if err := fromValue(x, dst.Index(i), fieldOptions{enum: o.enum}); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

func fromMap(v Value, dst reflect.Value, o fieldOptions, mismatch func() error) error {
	t := dst.Type()
	var pairs Table
	isSet := t.Elem() == reflect.TypeOf(struct{}{})
	switch x := v.(type) {
	case Set:
		if !isSet {
			return mismatch()
		}
		for _, k := range x {
			pairs = append(pairs, Pair{Key: k})
		}
	case Table:
		if isSet {
			return mismatch()
		}
		pairs = x
	default:
		return mismatch()
	}
	out := reflect.MakeMapWithSize(t, len(pairs))
	for _, p := range pairs {
		k, x := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if err := fromValue(p.Key, k, fieldOptions{enum: o.enum}); err != nil {
			return fmt.Errorf("key %v: %w", p.Key, err)
		}
		if !k.Comparable() {
			return typeError("a %s cannot be the key of a %v", typeName(p.Key), t)
		}
		if !isSet {
			if err := fromValue(p.Value, x, fieldOptions{enum: o.enum}); err != nil {
				return fmt.Errorf("value of key %v: %w", p.Key, err)
			}
		}
		out.SetMapIndex(k, x)
	}
	dst.Set(out)
	return nil
}
