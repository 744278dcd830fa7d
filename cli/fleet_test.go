package cli_test

import (
	"strings"
	"testing"

	"comfygo/cli"
)

func TestCombinationsOfFleetFlags(t *testing.T) {
	t.Parallel()
	for words, says := range map[string]string{
		"--role worker":                                       "--role worker needs a queue in NATS",
		"--role server":                                       "--role server needs a queue in NATS",
		"--queue http://host:1":                               "expected memory, sqlite or nats://HOST:PORT",
		"--queue nats://":                                     "expected memory, sqlite or nats://HOST:PORT",
		"--queue nats://h:1,memory":                           "expected memory, sqlite or nats://HOST:PORT",
		"--queue nats://h:1 --queue-file q.db":                "--queue-file is of a queue in SQLite",
		"--queue-credentials f":                               "need a queue in NATS",
		"--queue-ca f":                                        "need a queue in NATS",
		"--queue-replicas 3":                                  "need a queue in NATS",
		"--queue nats://h:1 --queue-replicas 9":               "between 1 and 5",
		"--queue nats://h:1 --worker-lease 1":                 "at least 2 seconds",
		"--workers many":                                      "expected auto or a number from 0 to 256",
		"--workers 2 --queue memory":                          "--queue memory cannot be used with it",
		"--workers 2 --queue-file q.db":                       "--queue-file cannot be used with it",
		"--queue-model-wait 5":                                "--queue-model-wait needs a queue in NATS",
		"--queue nats://h:1 --queue-model-wait -1":            "between 0 and 3600",
		"--worker-lease 5":                                    "--worker-lease needs a queue in NATS",
		"--queue nats://h:1 --queue-sync full":                "--queue-sync is of the process that keeps the queue",
		"--worker-label big":                                  "--worker-label needs a queue in NATS",
		"--worker-label big --role server --queue nats://h:1": "--role server runs none",
		"--worker-label=a,b --queue nats://h:1":               "a word without spaces and commas",
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			if _, err := cli.Parse(strings.Fields(words)...); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("the error is %v, want %q in it", err, says)
			}
		})
	}
}

// TestFlagsOfFleetWorkers holds that a worker process gets by with the flags of its parent, as --workers gives them.
func TestFlagsOfFleetWorkers(t *testing.T) {
	t.Parallel()
	if _, err := cli.Parse(strings.Fields("--workers 2 --queue-sync full --worker-lease 5 --role worker --workers 0 --queue nats://h:1")...); err != nil {
		t.Error(err)
	}
}
