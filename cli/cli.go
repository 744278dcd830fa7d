package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"
)

// Exit codes of the program.
const (
	CodeOK     = 0
	CodeFailed = 1
	CodeUsage  = 2
)

// Handlers are the functions of the commands. Each returns nil for exit code 0.
type Handlers struct {
	Serve  func(context.Context, Config) error
	Run    func(context.Context, Config, RunOptions) error
	Doctor func(context.Context, Config, RemoteOptions) error
	// Remote talks to a running server: queue, history, cancel, models.
	Remote func(context.Context, Config, RemoteOptions) error
	// Health asks a server whether it works.
	Health func(context.Context, Config, RemoteOptions) error
	// Check reports what a workflow needs.
	Check func(context.Context, Config, RemoteOptions) error
	// Frontend fetches the official front end.
	Frontend func(context.Context, Config, FrontendOptions) error
	// Backup packs the server's own files into an archive; Restore puts them back.
	Backup, Restore func(ctx context.Context, cfg Config, file string) error
	// Setup fetches the ONNX Runtime library.
	Setup func(context.Context, Config, SetupOptions) error
	// Version prints what build of the program this is.
	Version func(w io.Writer, asJSON bool) error
	// Packs manages node packs.
	Packs func(context.Context, Config, PacksOptions) error
	// NATS runs a NATS server.
	NATS func(context.Context, Config, NATSOptions) error
	// Auth manages the key store.
	Auth func(context.Context, Config, AuthOptions) error
}

// RunOptions belong to the command run.
type RunOptions struct {
	Workflow string   // path of the workflow file; "-" is standard input
	Inputs   []string // NODE.FIELD=VALUE
	Output   string   // folder for the results; empty: the server's own
	Server   string   // a running server; empty: no server is needed
	JSON     bool
}

// FrontendOptions belong to the command frontend.
type FrontendOptions struct {
	Action string // what is to be done: "install"
	Dir    string // folder of the packages; empty: the default one
	Media  bool   // the templates' images and videos too
}

// SetupOptions belong to the command setup.
type SetupOptions struct {
	CUDA          bool   // the build for NVIDIA GPUs
	Dir           string // folder for the library; empty: the default one
	ReleaseSHA256 string // checksum of a release archive, which curl needs
}

// ExitError ends the program with an exit code. A non-empty message is printed.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

// Main parses the words of a command line (without the program's name), runs the command and returns the exit code.
func Main(ctx context.Context, words []string, stdout, stderr io.Writer, h Handlers) int {
	return mainIn(ctx, os.Environ(), words, stdout, stderr, h)
}

// mainIn is Main with the environment's variables.
func mainIn(ctx context.Context, environ, words []string, stdout, stderr io.Writer, h Handlers) int {
	cmd, rest := split(words)
	err := dispatch(ctx, cmd, rest, environ, stdout, h)
	var usage *UsageError
	var exit *ExitError
	switch {
	case err == nil:
		return CodeOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: error: %s\n%s\n", program, usage.Message, usage.hint(cmd))
		return CodeUsage
	case errors.As(err, &exit):
		if exit.Err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", program, exit.Err)
		}
		return exit.Code
	default:
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return CodeFailed
	}
}

// hint is the line below the error.
func (e *UsageError) hint(cmd *command) string {
	help := program + " --help"
	if cmd != nil {
		help = program + " " + cmd.name + " --help"
	}
	if e.Hint != "" {
		return e.Hint + " (" + help + " lists what there is)"
	}
	return "see " + help
}

// Parse reads a command line that starts the server and returns its configuration, without the environment. Errors are
// *UsageError.
func Parse(words ...string) (Config, error) {
	var got Config
	err := dispatch(context.Background(), nil, words, nil, io.Discard, Handlers{
		Serve: func(_ context.Context, c Config) error { got = c; return nil },
	})
	return got, err
}

// split takes the command off the words, if one stands first.
func split(words []string) (*command, []string) {
	if len(words) > 0 {
		for i := range commands {
			if commands[i].name == words[0] {
				return &commands[i], words[1:]
			}
		}
	}
	return nil, words
}

// dispatch reads the words by argparse's rules and hands the plain form to urfave/cli.
func dispatch(ctx context.Context, cmd *command, words, environ []string, stdout io.Writer, h Handlers) error {
	if cmd == nil && len(words) > 0 && words[0] != "" && words[0][0] != '-' {
		return &UsageError{Message: "unknown command: " + quote(words[0]), Hint: meant(words[0], commandNames())}
	}
	tiers := [][]*spec{upstream, own}
	if cmd != nil {
		tiers = [][]*spec{cmd.flags, upstream, own}
	}
	r, err := read(words, tiers...)
	if err != nil {
		return err
	}
	switch {
	case r.help:
		writeHelp(stdout, cmd, r.helpAll)
		return nil
	case r.version:
		return h.Version(stdout, false)
	case cmd != nil && cmd.name == "help":
		return helpOn(stdout, r.words)
	}
	if err := checkWords(cmd, r.words); err != nil {
		return err
	}
	from, err := r.complete(environ)
	if err != nil {
		return err
	}
	ns := newNamespace(tiers...)
	finish := func() (Config, error) {
		if err := ns.relate(); err != nil {
			return Config{}, err
		}
		cfg := ns.config()
		cfg.Ignored, cfg.Args = ignored(r), masked(words)
		cfg.ConfigFile, cfg.FromEnvironment, cfg.UnknownVariables = from.file, from.env, from.unknown
		return cfg, nil
	}
	app := newApp(ns, r, finish, stdout, h)
	return app.RunContext(ctx, plainWords(program, r, cmd))
}

// newApp is the program as urfave/cli sees it: the server's flags, and one command each for what is
// not the server. Help, usage and errors are ours, in argparse's form.
func newApp(ns namespace, r reading, finish func() (Config, error), stdout io.Writer, h Handlers) *ucli.App {
	app := &ucli.App{
		Name:                      program,
		HideHelp:                  true,
		HideHelpCommand:           true,
		HideVersion:               true,
		Writer:                    stdout,
		ErrWriter:                 io.Discard,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*ucli.Context, error) {},
		Flags:                     append(flags(ns, r, upstream), flags(ns, r, own)...),
	}
	serve := func(c *ucli.Context, cfg Config) error {
		if cfg.ListFeatureFlags {
			return writeFeatureFlags(stdout)
		}
		return h.Serve(c.Context, cfg)
	}
	app.Action = func(c *ucli.Context) error {
		cfg, err := finish()
		if err != nil {
			return err
		}
		return serve(c, cfg)
	}
	actions := map[string]func(*ucli.Context, Config) error{
		"serve":   serve,
		"version": func(*ucli.Context, Config) error { return h.Version(stdout, ns.on("json")) },
		"run": func(c *ucli.Context, cfg Config) error {
			return h.Run(c.Context, cfg, RunOptions{Workflow: c.Args().First(), Inputs: ns.texts("input"), Output: ns.text("output"), Server: ns.text("server"), JSON: ns.on("json")})
		},
		"frontend": func(c *ucli.Context, cfg Config) error {
			return h.Frontend(c.Context, cfg, FrontendOptions{Action: c.Args().First(), Dir: ns.text("dir"), Media: ns.on("media")})
		},
		"backup":  func(c *ucli.Context, cfg Config) error { return h.Backup(c.Context, cfg, c.Args().First()) },
		"restore": func(c *ucli.Context, cfg Config) error { return h.Restore(c.Context, cfg, c.Args().First()) },
		"setup": func(c *ucli.Context, cfg Config) error {
			return h.Setup(c.Context, cfg, SetupOptions{CUDA: ns.on("cuda"), Dir: ns.text("dir"), ReleaseSHA256: ns.text("release_sha256")})
		},
		"nats": func(c *ucli.Context, cfg Config) error {
			return h.NATS(c.Context, cfg, NATSOptions{Port: ns.number("port"), Store: ns.text("store"), Max: ns.real("store_max")})
		},
		"packs": func(c *ucli.Context, cfg Config) error {
			o, err := ns.packsOptions(c.Args().Slice())
			if err != nil {
				return err
			}
			return h.Packs(c.Context, cfg, o)
		},
		"completion": func(c *ucli.Context, _ Config) error { return writeCompletion(stdout, c.Args().First()) },
	}
	for name, do := range map[string]func(context.Context, Config, RemoteOptions) error{
		"queue": h.Remote, "history": h.Remote, "cancel": h.Remote, "models": h.Remote, "check": h.Check, "doctor": h.Doctor, "health": h.Health,
	} {
		actions[name] = func(c *ucli.Context, cfg Config) error {
			o, err := ns.remoteOptions(name, c.Args().Slice())
			if err != nil {
				return err
			}
			return do(c.Context, cfg, o)
		}
	}
	for _, name := range []string{"keys", "users", "roles", "workflows", "audit"} {
		actions[name] = func(c *ucli.Context, cfg Config) error {
			o, err := ns.authOptions(name, c.Args().Slice())
			if err != nil {
				return err
			}
			return h.Auth(c.Context, cfg, o)
		}
	}
	for _, cmd := range commands {
		action := actions[cmd.name]
		app.Commands = append(app.Commands, &ucli.Command{
			Name:     cmd.name,
			Usage:    cmd.help,
			HideHelp: true,
			Flags:    flags(ns, r, cmd.flags),
			Action: func(c *ucli.Context) error {
				cfg, err := finish()
				if err != nil {
					return err
				}
				return action(c, cfg)
			},
		})
	}
	return app
}

// checkWords refuses words that belong to no flag, and misses those that a command needs.
func checkWords(cmd *command, words []string) error {
	switch {
	case cmd != nil && cmd.actions != nil:
		return checkActions(cmd, words)
	case cmd != nil && cmd.most > 0:
		words = words[min(cmd.most, len(words)):]
	case cmd != nil && cmd.words != "":
		switch {
		case len(words) == 0:
			return usagef("the following arguments are required: %s", cmd.words)
		case len(words) == 1 && (words[0] == "-" || words[0][0] != '-'):
			return nil
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	return &UsageError{Message: "unrecognized arguments: " + joinWords(words), Hint: wordsHint(cmd, words)}
}
