package jobs

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/schema"
)

// Shard is the process at Index, from 0, of Count processes that divide the
// iterations among them. The zero value is the only process.
type Shard struct{ Index, Count int }

// ParseShard parses I/N, such as 0/4.
func ParseShard(s string) (Shard, error) {
	index, count, _ := strings.Cut(s, "/")
	i, err := strconv.Atoi(index)
	n, err2 := strconv.Atoi(count)
	if err != nil || err2 != nil || n < 1 || i < 0 || i >= n {
		return Shard{}, fmt.Errorf("shard %q is not I/N with I from 0 to N-1, such as 0/4", s)
	}
	return Shard{i, n}, nil
}

// ShardFrom reads the shard from the environment: CLOUD_RUN_TASK_INDEX and
// CLOUD_RUN_TASK_COUNT of Cloud Run jobs, or JOB_COMPLETION_INDEX of Kubernetes'
// indexed jobs. Kubernetes does not set the count, so that the manifest has to set
// CVEXPORT_SHARD_COUNT to its completions.
func ShardFrom(env func(string) string) (Shard, error) {
	for _, names := range [][2]string{
		{"CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"},
		{"JOB_COMPLETION_INDEX", "CVEXPORT_SHARD_COUNT"},
	} {
		index, count := env(names[0]), env(names[1])
		if index == "" {
			continue
		}
		if count == "" {
			return Shard{}, fmt.Errorf("%s is %s, but the number of shards is unknown: set %s, or give --shard", names[0], index, names[1])
		}
		shard, err := ParseShard(index + "/" + count)
		if err != nil {
			return Shard{}, fmt.Errorf("%s and %s: %w", names[0], names[1], err)
		}
		return shard, nil
	}
	return Shard{}, nil
}

// Has reports whether an iteration belongs to this shard. It depends only on the id,
// so that shards agree without communicating.
func (s Shard) Has(iteration schema.ID) bool {
	if s.Count <= 1 {
		return true
	}
	hash := fnv.New64a()
	hash.Write(iteration[:])
	return hash.Sum64()%uint64(s.Count) == uint64(s.Index)
}

func (s Shard) String() string {
	if s.Count <= 1 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}
