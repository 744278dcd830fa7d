package folders

import "context"

// WatchUpTo is Watch with another bound on the watches.
func (f *Folders) WatchUpTo(ctx context.Context, limit int) { f.watchUpTo(ctx, limit) }

// Watches is how many folders are watched below the search folders; false without a watcher. Nothing may change meanwhile.
func (f *Folders) Watches() (int, bool) {
	w := f.watch.Load()
	if w == nil || !w.settled() {
		return 0, false
	}
	return len(w.fs.WatchList()) - 1, true
}

// Cookie is the folder with which a watcher asks the system, "" without a watcher.
func (f *Folders) Cookie() string {
	if w := f.watch.Load(); w != nil {
		return w.cookie
	}
	return ""
}
