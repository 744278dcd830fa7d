package weights

import (
	"fmt"
	"reflect"
	"strings"
)

// Bind fills the struct that dst points to with the weights of a scope, as the fields' tags say:
//
//	type linear struct {
//		Weight *weights.Ref `weight:"weight"`
//		Bias   *weights.Ref `weight:"bias,optional"`
//	}
//	type block struct {
//		Proj   linear   `weight:"proj_in"`        // below proj_in.
//		Norm   *linear  `weight:"norm,optional"`  // nil when the file has nothing below norm.
//		Layers []linear `weight:"layers"`         // layers.0, layers.1, … up to the first gap
//		Heads  map[string]linear `weight:"heads"` // every child of heads, by name
//		Extra  string                             // fields without a tag are left alone
//	}
//
// Missing weights are noted in the scope like those of Scope.Weight, and s.Err tells of all of them at once. Bind's
// own error is a field that it cannot fill.
func Bind(s *Scope, dst any) error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("binding weights: %T is no pointer to a struct", dst)
	}
	if err := bindStruct(s, v.Elem()); err != nil {
		return fmt.Errorf("binding weights to %T: %w", dst, err)
	}
	return nil
}

var refType = reflect.TypeFor[*Ref]()

func bindStruct(s *Scope, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag, ok := field.Tag.Lookup("weight")
		if !ok {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		if option != "" && option != "optional" || !field.IsExported() {
			return fmt.Errorf("field %s: bad tag %q, or not exported", field.Name, tag)
		}
		if err := bindField(s, v.Field(i), name, option != ""); err != nil {
			return fmt.Errorf("field %s: %w", field.Name, err)
		}
	}
	return nil
}

// bindField fills one field, or one element of a list or map, from what the scope has at name.
func bindField(s *Scope, v reflect.Value, name string, optional bool) error {
	switch {
	case v.Type() == refType:
		take := s.Weight
		if optional {
			take = s.Optional
		}
		v.Set(reflect.ValueOf(take(name)))
		return nil
	case v.Kind() == reflect.Struct:
		return bindStruct(s.At(name), v)
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct:
		if optional && !s.HasAny(name) {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return bindStruct(s.At(name), v.Elem())
	case v.Kind() == reflect.Slice:
		return bindSlice(s, v, name, optional)
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		return bindMap(s, v, name, optional)
	}
	return fmt.Errorf("cannot hold weights in a %s", v.Type())
}

func bindSlice(s *Scope, v reflect.Value, name string, optional bool) error {
	n := s.Count(name)
	if v.Type().Elem() == refType { // tensors called name.0, name.1, …
		n = 0
		for s.At(name).Has(fmt.Sprint(n)) {
			n++
		}
	}
	if n == 0 && !optional {
		s.miss(name + ".0")
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		if err := bindField(s.At(name), v.Index(i), fmt.Sprint(i), false); err != nil {
			return err
		}
	}
	return nil
}

func bindMap(s *Scope, v reflect.Value, name string, optional bool) error {
	children := s.At(name).Children()
	if len(children) == 0 && !optional {
		s.miss(name + ".*")
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, c := range children {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := bindField(s.At(name), e, c, false); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(c).Convert(v.Type().Key()), e)
	}
	return nil
}
