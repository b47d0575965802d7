package relay

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// maxDepth bounds a chain of decorators, as one whose Unwrap returns itself has no end.
const maxDepth = 100

// SinkAs returns the first sink that is a B: s, or the sink that its method Unwrap() Sink returns,
// and so on, as [errors.As] does for errors. B is [Ignorer], [EveryEvent], [AccountNamer] or any
// other interface. SinkAs panics after 100 sinks, as then one returns itself.
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
		panic(fmt.Sprintf("relay: %T: Unwrap leads to %d sinks; it must not return itself", s, maxDepth))
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
		{reflect.TypeFor[Ignorer](), "Ignores", has[Ignorer]},
		{reflect.TypeFor[EveryEvent](), "EveryEvent", has[EveryEvent]},
		{reflect.TypeFor[AccountNamer](), "Account", has[AccountNamer]},
	}
)

func has[B any](s Sink) bool {
	_, ok := SinkAs[B](s)
	return ok
}

// CheckSink returns an error if s is a decorator that hides a method Ignores, EveryEvent or Account
// of a sink in one of its fields: neither s nor what Unwrap leads to has the method. A lane would
// not call it: ignored events would supersede others, and lanes of one account would not share a
// budget.
//
// Handle logs the error as a warning. CheckSink does not see a sink that a function has captured.
// It calls no method but Unwrap.
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
	return fmt.Errorf("relay: %v holds a %v and hides its %s from the lane: give %v a method "+
		"Unwrap() relay.Sink that returns the sink within, or methods of these names, or decorate "+
		"with SinkOptions.Middleware", outer, inner, strings.Join(hidden, ", "), outer)
}

// search calls found with the type of each sink in a field of v, and in the fields of that sink.
// seen holds the pointers that it has followed, as sinks may point to each other.
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
		if t.Kind() == reflect.Struct && !t.Implements(sinkType) { // its pointer may have the methods
			t = reflect.PointerTo(t)
		}
		if t.Implements(sinkType) {
			found(t)
			search(field, seen, found)
		}
	}
}

// isNil reports whether v is nil or a nil pointer, as after an error that was ignored.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}
