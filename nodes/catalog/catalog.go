// Package catalog lists the node classes of ComfyUI 0.33's core, whether they are built here or not: their order, their modules and what they
// work with. It does not depend on the classes that are built.
package catalog

import (
	_ "embed" // for the list
	"strings"
	"sync"
)

// Version is the version of ComfyUI whose classes are listed.
const Version = "0.33"

// Class is one class of the core.
type Class struct {
	// Name as workflows have it, and the Python module that has the class.
	Name, Module string
	// Uses names what the class works with, such as "audio encoders"; a class that is not built waits for it.
	Uses string
}

// classes has a line for each module, with what its classes use, and under it one for each class, with what that class uses where it differs.
//
//go:embed classes.txt
var classes string

var parsed = sync.OnceValue(func() []Class {
	var list []Class
	var module, uses string
	for line := range strings.Lines(classes) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if fields[0] != "" {
			module, uses = fields[0], ""
			if len(fields) > 1 {
				uses = fields[1]
			}
			continue
		}
		c := Class{Name: fields[1], Module: module, Uses: uses}
		if len(fields) > 2 {
			c.Uses = fields[2]
		}
		list = append(list, c)
	}
	return list
})

var byName = sync.OnceValue(func() map[string]Class {
	m := make(map[string]Class, len(parsed()))
	for _, c := range parsed() {
		m[c.Name] = c
	}
	return m
})

// Classes returns all classes in the order of ComfyUI's /object_info. The slice must not be changed.
func Classes() []Class { return parsed() }

// Get returns a class by name.
func Get(name string) (Class, bool) {
	c, ok := byName()[name]
	return c, ok
}

// Names returns the names of all classes in order.
func Names() []string {
	names := make([]string, len(parsed()))
	for i, c := range parsed() {
		names[i] = c.Name
	}
	return names
}
