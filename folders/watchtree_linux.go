package folders

import (
	"errors"
	"path/filepath"
	"syscall"
	"time"
)

// putInOrder puts the watches of all roots in order that need it.
func (w *watcher) putInOrder() {
	for root := range w.orders {
		w.order(root)
	}
}

// order makes the watches below a root fit the folders that are there. A root with a folder that cannot be watched is not watched at all.
func (w *watcher) order(root string) {
	delete(w.orders, root)
	w.mu.Lock()
	r := w.roots[root]
	if r == nil {
		r = &watchedRoot{}
		w.roots[root] = r
	}
	polled, id := r.polled, identify(root)
	w.mu.Unlock()
	if polled {
		return
	}
	why := w.follow(root)
	w.mu.Lock()
	defer w.mu.Unlock()
	r.number++
	r.id = id
	if why == nil {
		return
	}
	w.abandon(root, nil)
	r.polled = true
	switch {
	case errors.Is(why, errShare):
		w.log.Debug("not watching a folder of another machine or program, its times are looked at instead", "folder", root)
	case errors.Is(why, errTooMany):
		w.log.Warn("not watching a folder: there are too many folders; their times are looked at instead", "folder", root, "most", w.limit)
	case errors.Is(why, syscall.ENOSPC):
		w.log.Warn("not watching a folder: the system has no watches left (fs.inotify.max_user_watches); its times are looked at instead", "folder", root)
	default:
		w.log.Warn("not watching a folder, its times are looked at instead", "folder", root, "error", why)
	}
}

// Why a root is not watched.
var (
	errShare   = errors.New("changes on other machines are not told")
	errTooMany = errors.New("there are too many folders")
	errTwice   = errors.New("the same folder has two names")
)

// follow watches every folder below a root, and no more for it.
func (w *watcher) follow(root string) error {
	for {
		found := map[string]time.Time{}
		walk(root, found)
		wanted := map[string]bool{}
		for dir := range found {
			real, err := filepath.EvalSymlinks(dir)
			if err != nil {
				continue // it has gone since
			}
			wanted[real] = true
		}
		w.abandon(root, wanted)
		added := false
		for dir := range wanted {
			fresh, err := w.add(root, dir)
			if err != nil {
				return err
			}
			added = added || fresh
		}
		if !added { // what has come before a watch was there has been seen by now
			return nil
		}
	}
}

// add watches a folder for a root and reports whether it was not watched before.
func (w *watcher) add(root, dir string) (fresh bool, err error) {
	id := identify(dir)
	if id == (fileID{}) {
		return false, nil
	}
	if d := w.dirs[dir]; d != nil {
		if d.id == id {
			d.owners[root] = true
			return false, nil
		}
		w.drop(dir) // another folder has taken its name
	}
	switch {
	case w.ids[id] != "":
		return false, errTwice
	case len(w.dirs) >= w.limit:
		return false, errTooMany
	case isShare(dir):
		return false, errShare
	}
	if err := w.fs.Add(dir); err != nil {
		if identify(dir) == (fileID{}) {
			return false, nil
		}
		return false, err
	}
	w.dirs[dir] = &watchedDir{id: id, owners: map[string]bool{root: true}}
	w.ids[id] = dir
	return true, nil
}

// abandon ends the watches of a root but for the wanted ones, unless other roots need them.
func (w *watcher) abandon(root string, wanted map[string]bool) {
	for dir, d := range w.dirs {
		if !d.owners[root] || wanted[dir] {
			continue
		}
		delete(d.owners, root)
		if len(d.owners) == 0 {
			w.drop(dir)
		}
	}
}

// drop ends a watch.
func (w *watcher) drop(dir string) {
	d := w.dirs[dir]
	delete(w.dirs, dir)
	if w.ids[d.id] == dir {
		delete(w.ids, d.id)
	}
	_ = w.fs.Remove(dir) // it ends by itself when the folder is gone
}

// shares are the numbers of statfs(2) of file systems whose files others change without this system's knowledge.
var shares = map[int64]bool{
	0x6969: true, 0x517b: true, 0xff534d42: true, 0xfe534d42: true, // NFS, SMB, CIFS
	0x65735546: true, 0x01021997: true, 0x786f4256: true, // FUSE, 9P, VirtualBox
	0x00c36400: true, 0x0bd00bd0: true, 0x5346414f: true, 0x6b414653: true, // Ceph, Lustre, AFS twice
	0x7461636f: true, 0x01161970: true, 0x73757245: true, 0x47504653: true, // OCFS2, GFS2, Coda, GPFS
}

func isShare(dir string) bool {
	var st syscall.Statfs_t
	return syscall.Statfs(dir, &st) == nil && shares[int64(st.Type)&0xffffffff]
}
