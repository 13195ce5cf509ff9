package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// steps runs operations of a disk one after the other until one fails.
type steps struct {
	disk disk
	err  error
}

func (s *steps) do(f func() error) *steps {
	if s.err == nil {
		s.err = f()
	}
	return s
}

func (s *steps) makeDir(name string) *steps {
	return s.do(func() error { return s.disk.makeDir(name) })
}
func (s *steps) syncDir(name string) *steps {
	return s.do(func() error { return s.disk.syncDir(name) })
}
func (s *steps) remove(name string) *steps { return s.do(func() error { return s.disk.remove(name) }) }
func (s *steps) rename(from, to string) *steps {
	return s.do(func() error { return s.disk.rename(from, to) })
}

// durability is whether a write is synced.
type durability bool

const (
	safe   durability = true
	unsafe durability = false
)

func (s *steps) write(name, text string, d durability) *steps {
	return s.do(func() error {
		f, err := s.disk.create(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err = f.WriteAt([]byte(text), 0); err == nil && d == safe {
			err = f.Sync()
		}
		return err
	})
}

// put writes into a file that exists.
func (s *steps) put(name, text string, off int64, d durability) *steps {
	return s.do(func() error {
		f, err := s.disk.open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err = f.WriteAt([]byte(text), off); err == nil && d == safe {
			err = f.Sync()
		}
		return err
	})
}

func texts(d *simDisk) map[string]string {
	got := map[string]string{}
	for name, b := range d.files() {
		got[name] = string(b)
	}
	return got
}

// TestSimDiskSurvivors shows what is left after a power failure: what was synced always, and of the rest each combination at some time.
func TestSimDiskSurvivors(t *testing.T) {
	t.Parallel()
	type files = map[string]string
	synced := func(d disk) *steps {
		s := &steps{disk: d}
		return s.makeDir("a").syncDir(".").write("a/f", "old", safe).syncDir("a")
	}
	for _, c := range []struct {
		name      string
		run       func(disk) *steps
		pessimist files
		optimist  files
		sometimes []files // besides those two
		never     func(files) bool
	}{
		{"all synced", synced, files{"a/f": "old"}, files{"a/f": "old"}, nil, func(f files) bool { return f["a/f"] != "old" }},
		{
			"a file whose folder was not synced", func(d disk) *steps { return (&steps{disk: d}).makeDir("a").syncDir(".").write("a/f", "new", safe) },
			files{}, files{"a/f": "new"}, nil, func(f files) bool { return len(f) == 1 && f["a/f"] != "new" },
		},
		{
			"a folder that was not synced into the one above", func(d disk) *steps { return (&steps{disk: d}).makeDir("a").write("a/f", "new", safe).syncDir("a") },
			files{}, files{"a/f": "new"}, nil, func(f files) bool { return len(f) == 1 && f["a/f"] != "new" },
		},
		{
			"a name before its bytes", func(d disk) *steps {
				return (&steps{disk: d}).makeDir("a").syncDir(".").write("a/f", "new", unsafe).syncDir("a")
			},
			files{"a/f": ""}, files{"a/f": "new"}, []files{{"a/f": "n"}, {"a/f": "ne"}, {"a/f": "\x00\x00w"}, {"a/f": "\x00\x00\x00"}}, func(f files) bool { return len(f) != 1 },
		},
		{
			"an append", func(d disk) *steps { return synced(d).put("a/f", "new", 3, unsafe) },
			files{"a/f": "old"}, files{"a/f": "oldnew"}, []files{{"a/f": "oldn"}, {"a/f": "old\x00\x00w"}, {"a/f": "old\x00\x00\x00"}},
			func(f files) bool { return f["a/f"][:3] != "old" },
		},
		{
			"a later write without the earlier one", func(d disk) *steps { return synced(d).put("a/f", "1", 3, unsafe).put("a/f", "2", 4, unsafe) },
			files{"a/f": "old"}, files{"a/f": "old12"}, []files{{"a/f": "old1"}, {"a/f": "old\x002"}}, func(f files) bool { return f["a/f"][:3] != "old" },
		},
		{
			"a sync covers the writes before it", func(d disk) *steps { return synced(d).put("a/f", "1", 3, unsafe).put("a/f", "2", 4, safe) },
			files{"a/f": "old12"}, files{"a/f": "old12"}, nil, func(f files) bool { return f["a/f"] != "old12" },
		},
		{
			"a file emptied and written anew", func(d disk) *steps { return synced(d).write("a/f", "newer", unsafe) },
			files{"a/f": "old"}, files{"a/f": "newer"}, []files{{"a/f": ""}, {"a/f": "new"}}, func(f files) bool { return len(f) != 1 },
		},
		{
			"a rename whose folder was not synced", func(d disk) *steps { return synced(d).write("a/t", "new", safe).syncDir("a").rename("a/t", "a/f") },
			files{"a/f": "old", "a/t": "new"}, files{"a/f": "new"}, nil, func(f files) bool { return f["a/f"] != "new" && (f["a/f"] != "old" || f["a/t"] != "new") },
		},
		{
			"a rename of a file that was not synced", func(d disk) *steps { return synced(d).write("a/t", "new", unsafe).rename("a/t", "a/f").syncDir("a") },
			files{"a/f": ""}, files{"a/f": "new"}, []files{{"a/f": "ne"}}, func(f files) bool { return len(f) != 1 || f["a/f"] == "old" },
		},
		{
			"a rename in good order", func(d disk) *steps { return synced(d).write("a/t", "new", safe).rename("a/t", "a/f").syncDir("a") },
			files{"a/f": "new"}, files{"a/f": "new"}, nil, func(f files) bool { return len(f) != 1 || f["a/f"] != "new" },
		},
		{
			"a removal before a creation", func(d disk) *steps { return synced(d).write("a/g", "new", safe).remove("a/f") },
			files{"a/f": "old"}, files{"a/g": "new"}, []files{{}, {"a/f": "old", "a/g": "new"}}, func(f files) bool { return f["a/f"] != "" && f["a/f"] != "old" },
		},
		{
			"a removal in good order", func(d disk) *steps { return synced(d).remove("a/f").syncDir("a") },
			files{}, files{}, nil, func(f files) bool { return len(f) > 0 },
		},
		{
			"a rename to another folder", func(d disk) *steps { return synced(d).makeDir("b").syncDir(".").rename("a/f", "b/f") },
			files{"a/f": "old"}, files{"b/f": "old"}, []files{{"a/f": "old", "b/f": "old"}}, func(f files) bool { return f["a/f"]+f["b/f"] != "old" && f["a/f"] != f["b/f"] },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newSimDisk()
			if s := c.run(d); s.err != nil {
				t.Fatal(s.err)
			}
			if diff := cmp.Diff(c.pessimist, texts(d.survivor(pessimist{}))); diff != "" {
				t.Errorf("pessimist (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.optimist, texts(d.survivor(optimist{}))); diff != "" {
				t.Errorf("optimist (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(texts(d), texts(d.survivor(optimist{}))); diff != "" {
				t.Errorf("the optimist found something else than what was there (-was +found):\n%s", diff)
			}
			seen := map[string]bool{}
			for seed := range uint64(2000) {
				got := texts(d.survivor(chance{rand.New(rand.NewPCG(seed, 0))}))
				seen[fmt.Sprint(got)] = true
				if c.never(got) {
					t.Fatalf("seed %d leaves %v, which cannot be", seed, got)
				}
				if seed < 20 {
					if diff := cmp.Diff(got, texts(d.survivor(chance{rand.New(rand.NewPCG(seed, 0))}))); diff != "" {
						t.Fatalf("seed %d leaves two disks:\n%s", seed, diff)
					}
				}
			}
			for _, f := range append(slices.Clone(c.sometimes), c.pessimist, c.optimist) {
				if !seen[fmt.Sprint(f)] {
					t.Errorf("%v is never left", f)
				}
			}
		})
	}
}

// TestSimDiskSurvivorIsSafe shows that what was found after one failure does not change with the next.
func TestSimDiskSurvivorIsSafe(t *testing.T) {
	t.Parallel()
	d := newSimDisk()
	(&steps{disk: d}).makeDir("a").write("a/f", "one two three", unsafe).write("a/g", "four", unsafe).rename("a/g", "a/h")
	for seed := range uint64(100) {
		once := d.survivor(chance{rand.New(rand.NewPCG(seed, 0))})
		for name, s := range map[string]survival{"pessimist": pessimist{}, "optimist": optimist{}, "chance": chance{rand.New(rand.NewPCG(seed, 1))}} {
			if diff := cmp.Diff(texts(once), texts(once.survivor(s))); diff != "" {
				t.Fatalf("seed %d, %s (-first +second):\n%s", seed, name, diff)
			}
		}
	}
}

func TestSimDiskCrash(t *testing.T) {
	t.Parallel()
	run := func(d *simDisk) error {
		s := &steps{disk: d}
		s.makeDir("a").syncDir(".").write("a/t", "new", safe).rename("a/t", "a/f").syncDir("a")
		return s.do(func() error { _, err := d.lock("a/lock"); return err }).err
	}
	d := newSimDisk()
	if err := run(d); err != nil {
		t.Fatal(err)
	}
	if _, err := d.lock("a/lock"); !errors.Is(err, errLocked) {
		t.Errorf("a second lock = %v, want errLocked", err)
	}
	if _, err := d.survivor(pessimist{}).lock("a/lock"); err != nil {
		t.Errorf("a lock after the power was off = %v", err)
	}
	want := []simOp{opMakeDir, opSyncDir, opCreate, opWriteAt, opSync, opRename, opSyncDir, opLock, opLock}
	if diff := cmp.Diff(want, d.ops); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	for k := range len(want) - 1 {
		d := newSimDisk()
		d.crash(k)
		if err := run(d); !errors.Is(err, errCrashed) {
			t.Errorf("after %d operations: %v, want errCrashed", k, err)
		}
		for what, err := range map[string]error{"makeDir": d.makeDir("b"), "remove": d.remove("a/f"), "rename": d.rename("a/f", "a/g"), "syncDir": d.syncDir("a")} {
			if !errors.Is(err, errCrashed) {
				t.Errorf("%s without power = %v", what, err)
			}
		}
		if n := d.mend(); n != k {
			t.Errorf("%d operations were done, want %d", n, k)
		}
		published := texts(d.survivor(pessimist{}))["a/f"] == "new"
		if published != (k >= 7) {
			t.Errorf("after %d operations the file is there: %t", k, published)
		}
	}
}

func TestSimDiskFaults(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*simDisk, file) {
		t.Helper()
		d := newSimDisk()
		if s := (&steps{disk: d}).makeDir("a").syncDir(".").write("a/f", "safe", safe).syncDir("a"); s.err != nil {
			t.Fatal(s.err)
		}
		f, err := d.open("a/f")
		if err != nil {
			t.Fatal(err)
		}
		return d, f
	}
	t.Run("each operation", func(t *testing.T) {
		t.Parallel()
		for op, call := range map[simOp]func(*simDisk, file) error{
			opMakeDir:  func(d *simDisk, _ file) error { return d.makeDir("b") },
			opList:     func(d *simDisk, _ file) error { _, err := d.list("a"); return err },
			opCreate:   func(d *simDisk, _ file) error { _, err := d.create("a/f"); return err },
			opOpen:     func(d *simDisk, _ file) error { _, err := d.open("a/f"); return err },
			opRead:     func(d *simDisk, _ file) error { _, err := d.read("a/f"); return err },
			opRename:   func(d *simDisk, _ file) error { return d.rename("a/f", "a/g") },
			opRemove:   func(d *simDisk, _ file) error { return d.remove("a/f") },
			opSyncDir:  func(d *simDisk, _ file) error { return d.syncDir("a") },
			opLock:     func(d *simDisk, _ file) error { _, err := d.lock("a/lock"); return err },
			opReadAt:   func(_ *simDisk, f file) error { _, err := f.ReadAt(make([]byte, 4), 0); return err },
			opWriteAt:  func(_ *simDisk, f file) error { _, err := f.WriteAt([]byte("xx"), 0); return err },
			opSize:     func(_ *simDisk, f file) error { _, err := f.Size(); return err },
			opTruncate: func(_ *simDisk, f file) error { return f.Truncate(1) },
			opSync:     func(_ *simDisk, f file) error { return f.Sync() },
		} {
			for _, fault := range faultsOf(op) {
				d, f := start(t)
				d.fail(0, fault)
				want := error(syscall.EIO)
				if fault == faultNoSpace || fault == faultShort {
					want = syscall.ENOSPC
				}
				if err := call(d, f); !errors.Is(err, want) || !d.failed {
					t.Errorf("%v with %v = %v, want %v", op, fault, err, want)
				}
				if fault != faultShort {
					if diff := cmp.Diff(map[string]string{"a/f": "safe"}, texts(d)); diff != "" {
						t.Errorf("%v with %v (-want +got):\n%s", op, fault, diff)
					}
				}
				if err := call(d, f); err != nil {
					t.Errorf("%v after %v = %v", op, fault, err)
				}
			}
		}
	})
	t.Run("a short write", func(t *testing.T) {
		t.Parallel()
		d, f := start(t)
		d.fail(0, faultShort)
		if n, err := f.WriteAt([]byte("1234"), 4); n != 2 || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("WriteAt = %d, %v", n, err)
		}
		if got := texts(d)["a/f"]; got != "safe12" {
			t.Errorf("the file holds %q", got)
		}
	})
	t.Run("a failed sync", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			fault         simFault
			read, outlast string
		}{
			{faultSyncGone, "safe\x00\x003", "safe\x00\x003"},
			{faultSyncStale, "safe123", "safe\x00\x003"},
		} {
			d, f := start(t)
			_, _ = f.WriteAt([]byte("12"), 4)
			d.fail(0, c.fault)
			if err := f.Sync(); !errors.Is(err, syscall.EIO) {
				t.Errorf("Sync = %v", err)
			}
			_, _ = f.WriteAt([]byte("3"), 6)
			if err := f.Sync(); err != nil {
				t.Errorf("the next Sync = %v", err)
			}
			if got := texts(d)["a/f"]; got != c.read {
				t.Errorf("%v: the file holds %q, want %q", c.fault, got, c.read)
			}
			for _, s := range []survival{pessimist{}, optimist{}} {
				if got := texts(d.survivor(s))["a/f"]; got != c.outlast {
					t.Errorf("%v: %T finds %q, want %q", c.fault, s, got, c.outlast)
				}
			}
		}
	})
}

// TestSimDiskLikeTheReal plays random operations on a simulated disk and on a folder of the machine: they answer alike.
func TestSimDiskLikeTheReal(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	sim, at := newSimDisk(), t.TempDir()
	kind := func(err error) string {
		switch {
		case err == nil:
			return "fine"
		case errors.Is(err, fs.ErrNotExist):
			return "not there"
		case errors.Is(err, errLocked):
			return "locked"
		case errors.Is(err, io.EOF):
			return "end"
		default:
			return "another error"
		}
	}
	type pair struct{ sim, real file }
	var files []pair
	type locks struct{ sim, real io.Closer }
	var held []locks
	answers := map[string]int{}
	folders := []string{"a", "b", "a/c", "none"}
	name := func() string {
		return folders[random.IntN(len(folders))] + "/" + []string{"x", "y", "z"}[random.IntN(3)]
	}
	if err := errors.Join(sim.makeDir("a"), sim.makeDir("b"), osDisk{}.makeDir(filepath.Join(at, "a")), osDisk{}.makeDir(filepath.Join(at, "b"))); err != nil {
		t.Fatal(err)
	}
	for i := range 4000 {
		n, to := name(), name()
		path := filepath.Join(at, n)
		var what string
		var simErr, realErr error
		var simGot, realGot any
		open := func(s file, e1 error, r file, e2 error) {
			simErr, realErr = e1, e2
			if e1 == nil && e2 == nil {
				files = append(files, pair{s, r})
			}
		}
		switch op := random.IntN(14); op {
		case 0:
			what = "create"
			s, e1 := sim.create(n)
			r, e2 := osDisk{}.create(path)
			open(s, e1, r, e2)
		case 1:
			what = "open"
			s, e1 := sim.open(n)
			r, e2 := osDisk{}.open(path)
			open(s, e1, r, e2)
		case 2:
			what = "read"
			s, e1 := sim.read(n)
			r, e2 := osDisk{}.read(path)
			open(s, e1, r, e2)
		case 3:
			what = "rename"
			simErr, realErr = sim.rename(n, to), osDisk{}.rename(path, filepath.Join(at, to))
		case 4:
			what = "remove"
			simErr, realErr = sim.remove(n), osDisk{}.remove(path)
		case 5:
			what = "list"
			dir := folders[random.IntN(len(folders))]
			simGot, simErr = sim.list(dir)
			realGot, realErr = osDisk{}.list(filepath.Join(at, dir))
		case 6:
			what = "makeDir"
			simErr, realErr = sim.makeDir("a/c"), osDisk{}.makeDir(filepath.Join(at, "a/c"))
		case 7:
			what = "syncDir"
			dir := folders[random.IntN(len(folders))]
			simErr, realErr = sim.syncDir(dir), osDisk{}.syncDir(filepath.Join(at, dir))
		case 8:
			what = "lock"
			n = "b/lock"
			if len(held) > 0 && random.IntN(2) == 0 {
				_, _ = held[0].sim.Close(), held[0].real.Close()
				held = nil
			}
			var l locks
			l.sim, simErr = sim.lock(n)
			l.real, realErr = osDisk{}.lock(filepath.Join(at, n))
			if simErr == nil && realErr == nil {
				held = append(held, l)
			}
		default:
			if len(files) == 0 {
				continue
			}
			j := random.IntN(len(files))
			f := files[j]
			off := random.Int64N(30)
			switch op {
			case 9:
				what = "WriteAt"
				b := bytes.Repeat([]byte{byte('a' + i%26)}, random.IntN(20))
				simGot, simErr = f.sim.WriteAt(b, off)
				realGot, realErr = f.real.WriteAt(b, off)
				if len(b) == 0 {
					simErr, realErr = nil, nil // on a file that is only read, which nobody asks
				}
			case 10:
				what = "ReadAt"
				b1, b2 := make([]byte, random.IntN(20)), make([]byte, 20)
				b2 = b2[:len(b1)]
				var n1, n2 int
				n1, simErr = f.sim.ReadAt(b1, off)
				n2, realErr = f.real.ReadAt(b2, off)
				simGot, realGot = string(b1[:n1]), string(b2[:n2])
			case 11:
				what = "Size"
				simGot, simErr = f.sim.Size()
				realGot, realErr = f.real.Size()
			case 12:
				what = "Truncate"
				simErr, realErr = f.sim.Truncate(off), f.real.Truncate(off)
			case 13:
				what = "Sync"
				simErr, realErr = f.sim.Sync(), f.real.Sync()
			}
			if random.IntN(4) == 0 {
				_, _ = f.sim.Close(), f.real.Close()
				files = slices.Delete(files, j, j+1)
			}
		}
		if kind(simErr) != kind(realErr) {
			t.Fatalf("step %d, %s: %v, and the real disk %v", i, what, simErr, realErr)
		}
		if diff := cmp.Diff(realGot, simGot); diff != "" && realErr == nil {
			t.Fatalf("step %d, %s (-real +simulated):\n%s", i, what, diff)
		}
		answers[what+" "+kind(realErr)]++
	}
	for _, f := range files {
		_, _ = f.sim.Close(), f.real.Close()
	}
	for _, l := range held {
		_, _ = l.sim.Close(), l.real.Close()
	}
	if sim.handles != 0 {
		t.Errorf("%d handles are open", sim.handles)
	}
	if len(answers) < 20 {
		t.Errorf("only %d kinds of answers: %v", len(answers), answers)
	}
}

// TestSimDiskConcurrent is for the race detector.
func TestSimDiskConcurrent(t *testing.T) {
	t.Parallel()
	d := newSimDisk()
	if s := (&steps{disk: d}).makeDir("a").write("a/shared", "x", safe); s.err != nil {
		t.Fatal(s.err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			own := fmt.Sprint("a/", i)
			s := &steps{disk: d}
			for range 50 {
				s.write(own, "x", safe).put("a/shared", "y", int64(i), unsafe).rename(own, own+"b").remove(own + "b").syncDir("a")
			}
			if s.err != nil {
				t.Error(s.err)
			}
			texts(d.survivor(pessimist{}))
		})
	}
	all.Wait()
	if got := texts(d)["a/shared"]; got != "yyyyyyyy" {
		t.Errorf("the shared file holds %q", got)
	}
}
