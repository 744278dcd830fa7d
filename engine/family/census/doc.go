// Package census reports the support of each of upstream's model families, from the registry and from samples: the names and
// shapes of small models of the families, which tools/familydocs collects from a folder of goldens.
package census
