// Package census says of each of upstream's model families what can be done with it here, from the registry and from samples:
// the names and shapes of small models of the families, of which tools/familydocs gathers them from a folder of goldens.
package census
