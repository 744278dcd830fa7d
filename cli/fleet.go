package cli

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// NATSOptions belong to the command nats.
type NATSOptions struct {
	Port  int
	Store string  // folder; empty: comfygo-nats in the user folder
	Max   float64 // GB that the store may take; 0: NATS's own bound
}

// defaultLease is --worker-lease, in seconds.
const defaultLease = 10

// defaultModelWait is --queue-model-wait, in seconds.
const defaultModelWait = 2

// InNATS reports whether the queue is in NATS.
func (c Config) InNATS() bool { return strings.Contains(c.Queue, "://") }

// WorkerCount returns the number of worker processes; auto means one per GPU, 0 none.
func (c Config) WorkerCount() (n int, auto bool) {
	if c.Workers == "auto" {
		return 0, true
	}
	n, _ = strconv.Atoi(c.Workers) // checked by relateFleet
	return n, false
}

// relateFleet refuses combinations of flags of the queue in NATS that mean nothing.
func (ns namespace) relateFleet() error {
	queue, role, workers := ns.text("queue"), ns.text("role"), ns.text("workers")
	if ns.on(ofCommand + "role") {
		role = "all" // it is a role of users
	}
	if workers == "0" {
		workers = ""
	}
	inNATS := strings.Contains(queue, "://")
	if inNATS {
		if err := checkURLs(queue); err != nil {
			return err
		}
	}
	if workers != "" && workers != "auto" {
		const most = 256
		if n, err := strconv.Atoi(workers); err != nil || n < 0 || n > most {
			return usagef("argument --workers: expected auto or a number from 0 to %d, not %s", most, quote(workers))
		}
	}
	lease, replicas := ns.realIfGiven("worker_lease"), ns.numberIfGiven("queue_replicas")
	if lease != nil && *lease < 2 || replicas != nil && (*replicas < 1 || *replicas > 5) {
		return usagef("--worker-lease must be at least 2 seconds, and --queue-replicas between 1 and 5")
	}
	wait := ns.realIfGiven("queue_model_wait")
	if wait != nil && !(*wait >= 0 && *wait <= 3600) {
		return usagef("--queue-model-wait must be between 0 and 3600 seconds")
	}
	if err := ns.relateFiles(inNATS || workers != ""); err != nil {
		return err
	}
	switch {
	case role == "worker" && !inNATS, role == "server" && !inNATS && workers == "":
		return usagef("--role %s needs a queue in NATS: --queue nats://HOST:PORT", role)
	case inNATS && ns.text("queue_file") != "":
		return usagef("--queue-file is of a queue in SQLite, and --queue names NATS")
	case !inNATS && (ns.text("queue_credentials") != "" || ns.text("queue_ca") != "" || replicas != nil && *replicas != 1):
		return usagef("--queue-credentials, --queue-ca and --queue-replicas need a queue in NATS: --queue nats://HOST:PORT")
	case !inNATS && workers != "" && ns.text("queue_file") != "":
		return usagef("--workers keeps the queue in NATS; --queue-file cannot be used with it")
	case !inNATS && workers == "" && lease != nil && *lease != defaultLease:
		return usagef("--worker-lease needs a queue in NATS: --queue nats://HOST:PORT, or --workers")
	case !inNATS && workers == "" && wait != nil && *wait != defaultModelWait:
		return usagef("--queue-model-wait needs a queue in NATS: --queue nats://HOST:PORT, or --workers")
	case inNATS && role != "worker" && ns.text("queue_sync") == "full": // a worker under another process has its flags
		return usagef("--queue-sync is of the process that keeps the queue: give it to comfygo nats, or set sync_interval in your NATS server")
	case !inNATS && workers != "" && queue == "memory":
		return usagef("--workers keeps the queue in NATS; --queue memory cannot be used with it")
	case len(ns.texts("worker_label")) > 0 && !inNATS && workers == "":
		return usagef("--worker-label needs a queue in NATS: --queue nats://HOST:PORT")
	case len(ns.texts("worker_label")) > 0 && role == "server" && workers == "":
		return usagef("--worker-label is of workers, and --role server runs none")
	case slices.ContainsFunc(ns.texts("worker_label"), func(l string) bool { return l == "" || strings.ContainsAny(l, " ,\t\n") }):
		return usagef("argument --worker-label: a label is a word without spaces and commas")
	}
	return nil
}

// InRemote reports whether files are in a store besides the folders of this machine.
func (c Config) InRemote() bool { return c.Files != "" && c.Files != "directory" }

// relateFiles refuses combinations of the flags of the file store that mean nothing.
func (ns namespace) relateFiles(several bool) error {
	files := ns.text("files")
	inS3 := strings.HasPrefix(files, "s3://")
	if strings.Contains(files, "://") {
		u, err := url.Parse(files)
		if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return usagef("argument --files: expected directory, nats or s3://BUCKET[/PREFIX]")
		}
	}
	endpoint := ns.text("files_endpoint")
	switch {
	case (endpoint != "" || ns.text("files_region") != "") && !inS3:
		return usagef("--files-endpoint and --files-region are of a bucket: --files s3://BUCKET[/PREFIX]")
	case endpoint != "":
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return usagef("argument --files-endpoint: expected http://HOST[:PORT] or https://HOST[:PORT]; keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		}
	}
	if files != "" && files != "directory" && !several {
		return usagef("--files %s needs a queue in NATS: --queue nats://HOST:PORT, or --workers", files)
	}
	return nil
}

// checkURLs checks the addresses of NATS.
func checkURLs(text string) error {
	for _, part := range strings.Split(text, ",") {
		u, err := url.Parse(part)
		if err != nil || u.Hostname() == "" || u.Scheme != "nats" && u.Scheme != "tls" {
			return usagef("argument --queue: expected memory, sqlite or nats://HOST:PORT[,nats://HOST:PORT...] (tls:// for TLS)")
		}
	}
	return nil
}

// withoutSecrets is an address of NATS without what stands before its host.
func withoutSecrets(text string) string {
	parts := strings.Split(text, ",")
	for i, p := range parts {
		scheme, rest, ok := strings.Cut(p, "://")
		if at := strings.LastIndex(rest, "@"); ok && at >= 0 {
			parts[i] = scheme + "://***@" + rest[at+1:]
		}
	}
	return strings.Join(parts, ",")
}
