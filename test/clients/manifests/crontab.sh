# A thing that comes round again: its name, and what its spec says.
cat <<END
apiVersion: $NS.example.com/v1
kind: CronTab
metadata: {name: $1}
spec: {$2}
END
