package s3store

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/switchboard-voice/switchboard/recording"
)

// Upload sends a whole file, in parts if it is large, and returns nil once S3 has
// told its size and checksum back. It sends nothing if just this file is there,
// and nothing is ever overwritten. If it fails, no part stays behind, unless S3
// cannot be reached: then the next attempt clears it away, or Remove does.
func (s *Storage) Upload(ctx context.Context, key string, r io.ReaderAt, size int64) error {
	return wrap("upload", s.upload(ctx, key, r, size))
}

func (s *Storage) upload(ctx context.Context, key string, r io.ReaderAt, size int64) error {
	if err := recording.CheckKey(key); err != nil {
		return err
	}
	client, err := s.open(ctx)
	if err != nil {
		return err
	}
	sum, err := checksum(io.NewSectionReader(r, 0, size))
	if err != nil {
		return err
	}
	err = s.verify(ctx, client, key, size, sum)
	if !errors.Is(reasonOf(err), recording.ErrNotFound) {
		return err // or nil: it is there
	}
	if size > cmp.Or(s.PartSize, defaultPartSize) {
		err = s.sendParts(ctx, client, key, r, size, sum)
	} else {
		err = s.send(ctx, client, key, r, size, sum)
	}
	if err != nil && ctx.Err() != nil {
		return err
	}
	// The reply to a request that was carried out may have been lost.
	switch told := s.verify(ctx, client, key, size, sum); {
	case told == nil:
		return nil
	case err != nil && errors.Is(reasonOf(err), recording.ErrExists):
		return told
	case err != nil:
		return err
	case errors.Is(told, recording.ErrExists): // ours, and it is not what we sent
		err := fmt.Errorf("%w: it has not kept what it was given", recording.ErrUnavailable)
		return errors.Join(err, s.delete(ctx, client, key))
	case errors.Is(reasonOf(told), recording.ErrNotFound):
		return fmt.Errorf("%w: it does not find what it was given", recording.ErrUnavailable)
	default:
		return told
	}
}

// checksum is the CRC-32 of a file, as S3 writes it.
func checksum(r io.Reader) (string, error) {
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum.Sum32())), nil
}

// verify returns nil if just this file lies under key, and ErrExists if another
// does.
func (s *Storage) verify(ctx context.Context, client *s3.Client, key string, size int64, sum string) error {
	out, err := s.head(ctx, client, key)
	if err != nil {
		return err
	}
	if there := aws.ToInt64(out.ContentLength); there != size {
		return fmt.Errorf("%w: %s has %d bytes there, %d here", recording.ErrExists, key, there, size)
	}
	there := aws.ToString(out.ChecksumCRC32)
	if there == "" || strings.Contains(there, "-") { // none, or one of the checksums of its parts
		f, err := s.openObject(ctx, key)
		if err != nil {
			return err
		}
		there, err = checksum(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if there != sum {
		return fmt.Errorf("%w: %s has other bytes there", recording.ErrExists, key)
	}
	return nil
}

// onlyNew is the condition that a request does not overwrite anything.
var onlyNew = aws.String("*")

// send sends a file in one request.
func (s *Storage) send(ctx context.Context, client *s3.Client, key string, r io.ReaderAt, size int64, sum string) error {
	ctx, cancel := s.within(ctx, size)
	defer cancel()
	_, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.Bucket, Key: s.objectKey(key), IfNoneMatch: onlyNew,
		Body: io.NewSectionReader(r, 0, size), ContentLength: &size, ChecksumCRC32: &sum,
		ContentType: contentType(key), ServerSideEncryption: s.encryption(), SSEKMSKeyId: s.kmsKey(),
	})
	return err
}

// sendParts sends a file in parts, one after the other.
func (s *Storage) sendParts(ctx context.Context, client *s3.Client, key string, r io.ReaderAt, size int64, sum string) (err error) {
	if err := s.abortParts(ctx, client, key); err != nil {
		return err
	}
	id, err := s.createParts(ctx, client, key)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.abort(context.WithoutCancel(ctx), client, *s.objectKey(key), id))
		}
	}()
	var parts []types.CompletedPart
	partSize := cmp.Or(s.PartSize, defaultPartSize)
	for at := int64(0); at < size; at += partSize {
		part, err := s.sendPart(ctx, client, key, id, io.NewSectionReader(r, at, min(partSize, size-at)), int32(len(parts)+1))
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	ctx, cancel := s.within(ctx, size)
	defer cancel()
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.Bucket, Key: s.objectKey(key), UploadId: id, IfNoneMatch: onlyNew,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}, MpuObjectSize: &size,
		ChecksumCRC32: &sum, ChecksumType: types.ChecksumTypeFullObject,
	})
	return err
}

func (s *Storage) createParts(ctx context.Context, client *s3.Client, key string) (id *string, err error) {
	ctx, cancel := s.within(ctx, 0)
	defer cancel()
	out, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.Bucket, Key: s.objectKey(key), ContentType: contentType(key),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, ChecksumType: types.ChecksumTypeFullObject,
		ServerSideEncryption: s.encryption(), SSEKMSKeyId: s.kmsKey(),
	})
	if err != nil {
		return nil, err
	}
	return out.UploadId, nil
}

func (s *Storage) sendPart(ctx context.Context, client *s3.Client, key string, id *string, body *io.SectionReader, number int32) (types.CompletedPart, error) {
	var none types.CompletedPart
	sum, err := checksum(io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		return none, err
	}
	size := body.Size()
	ctx, cancel := s.within(ctx, size)
	defer cancel()
	out, err := client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &s.Bucket, Key: s.objectKey(key), UploadId: id, PartNumber: &number,
		Body: body, ContentLength: &size, ChecksumCRC32: &sum,
	})
	if err != nil {
		return none, err
	}
	return types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC32: &sum}, nil
}

// abortParts gives up every upload in parts of a file that was begun and not
// completed. There is nobody else who sends it.
func (s *Storage) abortParts(ctx context.Context, client *s3.Client, key string) error {
	object := *s.objectKey(key)
	pages := s3.NewListMultipartUploadsPaginator(client, &s3.ListMultipartUploadsInput{Bucket: &s.Bucket, Prefix: &object})
	for pages.HasMorePages() {
		page, err := func() (*s3.ListMultipartUploadsOutput, error) {
			ctx, cancel := s.within(ctx, 0)
			defer cancel()
			return pages.NextPage(ctx)
		}()
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			if aws.ToString(u.Key) != object {
				continue // another that begins the same
			}
			if err := s.abort(ctx, client, object, u.UploadId); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Storage) abort(ctx context.Context, client *s3.Client, object string, id *string) error {
	ctx, cancel := s.within(ctx, 0)
	defer cancel()
	_, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.Bucket, Key: &object, UploadId: id})
	if codeOf(err) == "NoSuchUpload" {
		return nil
	}
	return err
}

func contentType(key string) *string {
	if path.Ext(key) == ".wav" {
		return aws.String("audio/wav")
	}
	return nil
}

func (s *Storage) encryption() types.ServerSideEncryption {
	return types.ServerSideEncryption(s.Encryption)
}

func (s *Storage) kmsKey() *string {
	if s.KMSKeyID == "" {
		return nil
	}
	return &s.KMSKeyID
}
