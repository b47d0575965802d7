package relay

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// maxDepth bounds a chain of decorators: one whose Unwrap returns itself would otherwise hang its program.
const maxDepth = 100

// SinkAs returns the first sink with behaviour B of the chain that begins with s and goes on with what each one's method Unwrap() Sink
// returns, as [errors.As] does for errors. B is [Chooser], [Chronicler], [Metered] or any interface of the caller's. A chain of more than
// 100 sinks is a decorator that returns itself, and SinkAs panics.
func SinkAs[B any](s Sink) (behaviour B, ok bool) {
	for depth := 0; s != nil; depth++ {
		if behaviour, ok = s.(B); ok {
			return behaviour, true
		}
		s = unwrap(s, depth)
	}
	return behaviour, false
}

// unwrap returns the sink in a decorator, or nil.
func unwrap(s Sink, depth int) Sink {
	decorator, ok := s.(interface{ Unwrap() Sink })
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		panic(fmt.Sprintf("relay: %T: Unwrap leads to more than %d sinks; it must return the sink within and not itself", s, maxDepth))
	}
	return decorator.Unwrap()
}

var (
	sinkType = reflect.TypeFor[Sink]()
	// behaviours are what a decorator can hide, and the method of each.
	behaviours = []struct {
		is     reflect.Type
		method string
		has    func(Sink) bool
	}{
		{reflect.TypeFor[Chooser](), "Ignores", has[Chooser]},
		{reflect.TypeFor[Chronicler](), "Every", has[Chronicler]},
		{reflect.TypeFor[Metered](), "Account", has[Metered]},
	}
)

func has[B any](s Sink) bool {
	_, ok := SinkAs[B](s)
	return ok
}

// CheckSink returns an error if s is a decorator that hides optional behaviour of the sink within: a struct, or a pointer to one, with a
// field that holds a sink with a method Ignores, Every or Account, while neither s nor what Unwrap leads to has that method. A lane would not
// know of it: events that the sink ignores would take the place of events that it does not, and lanes of one account would not share its
// budget. Handle logs this error as a warning. A sink that a function has captured cannot be seen, and no error is no proof. It looks at types,
// and calls no method but Unwrap.
func CheckSink(s Sink) error {
	last := s
	for depth := 0; ; depth++ {
		next := unwrap(last, depth)
		if next == nil {
			break
		}
		last = next
	}
	if isNil(last) {
		return nil
	}
	outer := reflect.TypeOf(last)
	var hidden []string
	var inner reflect.Type
	search(reflect.ValueOf(last), make(map[uintptr]bool), func(t reflect.Type) {
		for _, b := range behaviours {
			if t.Implements(b.is) && !b.has(s) && !slices.Contains(hidden, b.method) {
				hidden, inner = append(hidden, b.method), t
			}
		}
	})
	if len(hidden) == 0 {
		return nil
	}
	return fmt.Errorf("relay: %v holds a %v and hides its %s from the lane: give %v a method Unwrap() relay.Sink that returns the sink within, "+
		"or methods of these names, or decorate with SinkOptions.Middleware", outer, inner, strings.Join(hidden, ", "), outer)
}

// search calls found with the type of each sink that stands in a field of v, and in the fields of that. v is a sink. seen are the structs
// that it has been to, as sinks may stand in a ring.
func search(v reflect.Value, seen map[uintptr]bool, found func(reflect.Type)) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.Kind() == reflect.Pointer {
			if seen[v.Pointer()] {
				return
			}
			seen[v.Pointer()] = true
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for _, field := range v.Fields() {
		if field.Kind() == reflect.Interface {
			field = field.Elem()
		}
		if !field.IsValid() {
			continue
		}
		t := field.Type()
		if t.Kind() == reflect.Struct && !t.Implements(sinkType) { // the methods may be those of its pointer
			t = reflect.PointerTo(t)
		}
		if t.Implements(sinkType) {
			found(t)
			search(field, seen, found)
		}
	}
}

// isNil reports whether v is nil or a nil pointer, which a program hands on that has overlooked an error.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}
