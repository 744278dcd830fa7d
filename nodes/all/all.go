// Package all brings every family of nodes into the default registry. It holds nothing but imports.
package all
