package relayfile

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A schema is a part of a JSON Schema. encoding/json sorts its names.
type schema map[string]any

// Schema returns the JSON Schema (draft 2020-12) of configuration files. Editors complete and check
// with it. The server checks more: names of lanes, expressions, secrets.
func Schema() ([]byte, error) {
	s := object(reflect.TypeFor[File](), "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Configuration of guance-relay"
	s["required"] = []string{"sources", "lanes"}
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// object returns the schema of a structure; of a lane of a type, with the fields of that type.
func object(t reflect.Type, lane string) schema {
	properties := schema{}
	var required []string
	for _, f := range reflect.VisibleFields(t) {
		name, types := f.Tag.Get("yaml"), f.Tag.Get("types")
		if types != "" && types != lane {
			continue
		}
		if f.Tag.Get("required") != "" || name == "type" {
			required = append(required, name)
		}
		s := value(f.Type)
		s["description"] = f.Tag.Get("doc")
		if enum := f.Tag.Get("enum"); enum != "" {
			s["enum"] = strings.Split(enum, ",")
		}
		if least := f.Tag.Get("min"); least != "" {
			s["minimum"], _ = strconv.Atoi(least)
		}
		if name == "type" {
			s = schema{"const": lane, "description": f.Tag.Get("doc")}
		}
		properties[name] = s
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	return s
}

// value returns the schema of a field.
func value(t reflect.Type) schema {
	switch t {
	case reflect.TypeFor[Secret]():
		return schema{"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"}
	case reflect.TypeFor[Duration]():
		return schema{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`}
	case reflect.TypeFor[Lane]():
		field, _ := t.FieldByName("Type")
		var kinds []schema
		for _, kind := range strings.Split(field.Tag.Get("enum"), ",") {
			kinds = append(kinds, object(t, kind))
		}
		return schema{"oneOf": kinds}
	}
	switch t.Kind() {
	case reflect.Int:
		return schema{"type": "integer"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Slice:
		return schema{"type": "array", "items": value(t.Elem())}
	case reflect.Map:
		s := schema{"type": "object", "additionalProperties": value(t.Elem())}
		if slices.Contains([]reflect.Type{reflect.TypeFor[Lane](), reflect.TypeFor[Source]()}, t.Elem()) {
			s["minProperties"] = 1
		}
		return s
	case reflect.Struct:
		return object(t, "")
	}
	return schema{"type": "string"}
}
