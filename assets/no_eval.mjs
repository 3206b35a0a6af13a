// zod tries `new Function` once to see whether it may compile its checks; our content security policy refuses and
// reports that. So it is told beforehand, which is why this module comes before the SDK.
import { config } from 'zod';

config({ jitless: true });
