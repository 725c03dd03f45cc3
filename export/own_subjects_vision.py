"""English subjects of our own requirements: pictures and video."""

from export.own_phrases import Subjects, phrases

VISION_SUBJECTS: Subjects = {
    "image_classes": phrases(
        """dog breeds|birds|flowers|mushrooms|butterflies|tree leaves|traffic signs|car models|tomato leaf
        diseases|garbage types|clothing items|handwritten letters|handwritten digits|cloud types|rock
        types|gemstones|coins|banknotes|pasta shapes|cheese types|wine labels|shoes|furniture styles|painting
        styles|architectural styles|aircraft|ships in photos|fish species|insects|snakes|spiders|seashells|
        monkeys|horse breeds|cow breeds|cat breeds|sea animals|blood cells|skin lesions|brain tumour types|
        retina diseases|tooth diseases|hand signs|facial expressions|yoga poses|playing cards|chess pieces|
        road surfaces|satellite land use|crop types|weeds|rice grains|coffee beans|apple varieties|fruits|
        vegetables|dishes|desserts|landmarks|logos|fonts|textile defects|steel surface defects|weld
        defects|lego bricks|screws|tools|musical instruments|pokemon|cartoon characters|star types in sky
        photos|galaxies|plankton|pollen grains|bacteria colonies|x-ray body parts|scanned document types|
        room types|weather photos|sports photos|tyre wear levels|paint colours|mineral samples""",
        """{}|classify {}|{} classification|{} classifier|recognise {}|{} recognition|{} from photos|{} image
        classifier|sort {} by photo|identify {}|which {}|cnn for {}|{} cnn|{} pictures""",
        """classify {} from photos|recognise {} in images|sort pictures of {} into their classes|
        identify {} on camera images|label pictures of {}|tell {} apart by their picture|find out which
        of several {} a photo shows|assign one class to each image of {}""",
    ),
    "image_pairs": phrases(
        """cats or dogs|ripe or unripe bananas|fresh or rotten fruit|cracked or intact eggs|open or closed
        eyes|smiling or serious faces|masked or unmasked faces|day or night scenes|indoor or outdoor
        photos|real or fake portraits|muffins or chihuahuas|bees or wasps|cars or trucks|men or women|
        benign or malignant moles|infected or healthy cells|full or empty shelves|dry or wet roads|
        hot dog or not|weeds or crops|gold or silver coins|left or right shoes|damaged or undamaged
        cars|clean or dirty windows|ants or bees|horses or zebras|apples or pears|sick or healthy plants""",
        "{}|{}?|classify {}|{} classifier|{} images|{} from photos|tell {}",
        """decide whether a photo shows {}|tell {} apart in images|classify images into {}|sort pictures
        into {}|learn the difference between {} from pictures""",
    ),
    "image_findings": phrases(
        """pneumonia|tuberculosis|melanoma|diabetic retinopathy|brain tumours|breast cancer|bone fractures|
        malaria|glaucoma|cataracts|caries|forest fires|smoke|rust|potholes|graffiti|mould|hail damage|oil
        spills|violence|nudity|drowsiness|snow|solar panel faults|blurred photos|watermarks|landslides|
        termite damage|covid|arthritis|wildfires|ships|manipulated faces""",
        """x-ray {}|{} detector|{} yes or no|{} in images|image {} check|{} from pictures|spot {} photos|
        {} image classifier|{} classification images""",
        """tell from an image whether there is {}|classify pictures as {} or none|say whether a scan shows
        {} or not|flag photos with {}|decide from a camera picture if {} can be seen""",
    ),
    "segmentation": phrases(
        """roads|buildings|roofs|water|clouds|forest|vineyards|solar panels|lungs|livers|kidneys|tumours|
        nuclei|blood vessels|polyps|teeth|bones|hair|skin lesions|people|hands|cars|lanes|cracks|rust|
        leaves|roots|fruit|animals|sky|snow|glaciers|fields|ships|wounds|text regions|muscle fibres|
        optic discs|coral reefs|burnt areas|nails|pipes""",
        """segment {}|{} segmentation|{} mask|unet {}|u-net for {}|{} pixel masks|outline {}|{} pixelwise""",
        """segment {} in images|mark every pixel that belongs to {}|compute a mask of {}|cut {} out of
        pictures|draw the exact outline of {}|predict pixel masks of {}|separate {} from the background""",
    ),
    "detection": phrases(
        """license plates|pedestrians|faces|helmets|cars|bicycles|traffic lights|cows in drone images|boats|
        drones|weapons|fire extinguishers|price tags|barcodes|tables in documents|trees|apples on trees|
        wheat heads|insects on traps|nodules|stomata|bottles|pallets|parcels|footballs|players|seals|
        birds in the sky|potholes|solar modules|ears of corn|hands|shopping carts|road signs|whales""",
        """detect {}|{} detection|find {}|locate {}|{} bounding boxes|yolo {}|{} detector boxes|where are {}|
        {} locator|{} object detection""",
        """detect {} and draw boxes around them|find the position of {} in pictures|locate {} with bounding
        boxes|predict box coordinates of {}|build an object detector for {}|mark {} with rectangles""",
    ),
    "restoration": phrases(
        """old photos|scanned documents|night photos|x-ray images|microscope images|satellite images|faces|
        telescope images|grey photos|foggy pictures|ultrasound images|ct slices|family pictures|
        blurred licence plates|compressed images|underwater photos|phone pictures|film frames|rainy
        images|sketches|mri scans|dental images|paintings|thermal images""",
        """denoise {}|sharpen {}|{} denoising|deblur {}|restore {}|colorize {}|{} super resolution|upscale {}|
        enhance {}|{} autoencoder|clean {}|inpaint {}|repair {}""",
        """remove noise from {}|restore damaged {}|sharpen {}|colourise {}|raise the resolution of {}|turn
        bad {} into good ones|remove scratches from {}|fill holes in {}|brighten {}|translate {} into
        clean versions|learn an image to image mapping for {}""",
    ),
    "image_generation": phrases(
        """faces|anime faces|handwritten digits|landscapes|flowers|cats|cars|logos|textures|paintings|
        shoes|bedrooms|pixel art|pokemon|emojis|clothes|maps|galaxies|mountains|birds|icons|wallpapers|
        x-ray pictures|cell images|portraits|manga|tattoos|sneakers|dragons|planets""",
        """generate {}|{} gan|gan {}|dcgan for {}|new {} images|draw {}|{} image generator|create {} pictures|
        invent {}|fake {} pictures|synthetic {} images""",
        """generate new pictures of {}|draw {} that do not exist|synthesise {} from random noise|train a GAN
        on {}|create artificial images of {}|invent pictures of {} with a generative adversarial network""",
    ),
    "captioning": phrases(
        """photos|holiday pictures|product photos|news photos|x-ray images|cartoons|satellite pictures|
        paintings|food pictures|street scenes|screenshots|wildlife photos|memes|museum pieces|charts|
        fashion pictures|family pictures|sports photos|pictures for blind people|camera frames""",
        """caption {}|{} captions|describe {}|image captioning {}|{} to text|captions for {}|caption
        generator {}|{} description generator|alt text {}""",
        """write captions for {}|describe {} in one sentence|generate a sentence about {}|turn {} into
        text|produce alt texts for {}|say in words what {} show""",
    ),
    "image_regression": phrases(
        """age of a person|weight of a fish|price of a house|number of people in a crowd|steering angle|
        height of a tree|amount of rainfall|calories of a meal|angle of a gauge|bone age|blood pressure
        of the retina|beauty score|distance to the next car|fill level of a glass|quality score|number
        of cells|area of a leaf|volume of a tumour|head pose|water level of a river|tilt of a picture|
        soil moisture|poverty index|remaining life of a tool|body mass index|grip width|fruit weight""",
        """{} from photo|{} from images|estimate {} image|{} image regression|{} by picture|photo {}|
        guess {} from pictures""",
        """estimate the {} from a picture|predict the {} from photos|read the {} off an image|regress the
        {} from camera images|guess the {} of what a photo shows""",
    ),
    "video": phrases(
        """gestures|sports|sign language words|exercises|dance styles|fights|falls of old people|cooking
        steps|tennis strokes|swimming styles|animal behaviour|traffic accidents|shoplifting|hand
        movements|emotions|facial actions|assembly steps|yoga flows|surgical phases|gait patterns|
        lip movements|football events|driver actions|workouts|martial arts""",
        """{} in videos|video {}|{} video classification|recognise {} clips|{} video|{} from clips|action
        recognition {}|{} footage""",
        """classify videos of {}|recognise {} in short clips|tell which {} a video shows|label video
        sequences of {}|sort clips by {}|recognise {} from frame sequences""",
    ),
}
