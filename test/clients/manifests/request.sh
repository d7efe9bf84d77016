# A request for a certificate for a user of the given name.
key=$(mktemp)
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$key" -subj "/CN=$1/O=people" 2>/dev/null | base64 -w0 >"$key.csr"
cat <<END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $1}
spec: {request: $(cat "$key.csr"), signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
END
rm -f "$key" "$key.csr"
