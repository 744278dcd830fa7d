// Package cli turns the command line into a Config and starts the command that was asked for.
//
// Words are read as upstream's argparse reads them (prefixes, --flag=value, flags with optional or
// several values, exclusive groups, the wording of errors and exit code 2); what comes out is a
// plain command line that urfave/cli parses and dispatches. The package knows the flags and their
// relations; it must not know what a server, a folder or a model is.
package cli
